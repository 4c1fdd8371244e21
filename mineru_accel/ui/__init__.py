"""The web page: the pipeline in a browser, for several people at once, with Gradio."""
