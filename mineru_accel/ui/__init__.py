"""The page: MinerU's pipeline in a browser, for several people at once, with Gradio."""
