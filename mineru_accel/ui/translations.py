"""The texts of the web page, in English and Chinese."""

from __future__ import annotations

LANGUAGES = ("en", "zh")

TEXTS: dict[str, tuple[str, str]] = {
    # Form
    "files": ("PDFs and images", "PDF 与图片"),
    "examples": ("Try one of these", "试试示例"),
    "backend": ("Back end", "后端"),
    "pages": ("Pages", "页码"),
    "pages_info": ("All, or e.g. 1-5,8,r3-r1 (r counts from the end)", "默认全部；例如 1-5,8,r3-r1（r 表示倒数）"),
    "method": ("Text from", "文本来源"),
    "method_auto": ("Auto", "自动"),
    "method_txt": ("Text layer", "文本层"),
    "method_ocr": ("OCR", "OCR"),
    "lang": ("Language of scans", "扫描件语言"),
    "formats": ("Formats", "输出格式"),
    "password": ("Password", "密码"),
    "password_info": ("Of encrypted PDFs", "用于加密的 PDF"),
    "more": ("More options", "更多选项"),
    "convert": ("Convert", "转换"),
    "cancel": ("Cancel", "取消"),
    # Tabs
    "tab_page": ("Page", "页面"),
    "tab_markdown": ("Markdown", "Markdown"),
    "tab_content": ("Content list", "内容列表"),
    "tab_regions": ("Regions", "区域"),
    "tab_timings": ("Timings", "耗时"),
    "tab_download": ("Files", "文件"),
    "page_slider": ("Page", "页"),
    "download": ("Download ZIP", "下载 ZIP"),
    "download_files": ("Files of this document", "此文档的文件"),
    "timings": ("Seconds of work by page and stage", "各页各阶段用时（秒）"),
    # Empty state
    "empty_title": ("Pages appear here", "页面将显示在这里"),
    "empty": (
        "Drop PDFs or images, then press Convert. Each page appears as soon as it is done.",
        "拖入 PDF 或图片，然后点击“转换”。每一页完成后会立即显示。",
    ),
    # Progress
    "waiting": ("waiting for its turn", "排队中"),
    "queue": ("{n} documents in the queue", "队列中有 {n} 个文档"),
    "loading": ("loading models, this happens once", "正在加载模型（仅首次需要）"),
    "running": ("converting", "转换中"),
    "done": ("done", "完成"),
    "failed": ("failed", "失败"),
    "cancelled": ("cancelled", "已取消"),
    "state_done": ("Done", "已完成"),
    "state_partly": ("Done, with failures", "已完成，但有失败"),
    "state_failed": ("Failed", "失败"),
    "state_cancelled": ("Cancelled", "已取消"),
    "of_pages": ("{done} of {total} pages", "第 {done} / {total} 页"),
    "pages_done": ("{n} pages", "共 {n} 页"),
    "page_done": ("1 page", "共 1 页"),
    "rate": ("{rate} pages/s", "{rate} 页/秒"),
    "eta": ("about {time} left", "约剩 {time}"),
    "first_pages": (
        "only the first {n} pages: this server's limit",
        "仅转换前 {n} 页：服务器限制",
    ),
    "failed_pages": ("page {pages} failed", "第 {pages} 页失败"),
    # Page
    "page_n": ("Page {n}", "第 {n} 页"),
    "page_waiting": ("This page is not done yet.", "此页尚未完成。"),
    "remark": ("1 remark on this page", "此页有 1 条提示"),
    "remarks": ("{n} remarks on this page", "此页有 {n} 条提示"),
    "page_failed": ("This page could not be converted: {error}", "此页无法转换：{error}"),
    "no_text": ("Nothing on this page went into the Markdown.", "此页没有内容写入 Markdown。"),
    "region": ("Region {n}: {kind}", "区域 {n}：{kind}"),
    "region_missed": ("found by its text", "由文本发现"),
    "until_done": ("Comes when the document is complete.", "文档完成后显示。"),
    "not_asked": ("This format was not asked for.", "未选择此格式。"),
    "cut": ("... the rest is in the download", "……其余内容见下载文件"),
    "col_number": ("#", "序号"),
    "col_class": ("Class", "类别"),
    "col_score": ("Score", "置信度"),
    "col_source": ("Source", "来源"),
    "col_text": ("Block", "块类型"),
    "source_text-layer": ("text layer", "文本层"),
    "source_ocr": ("OCR", "OCR"),
    "source_vlm": ("VLM", "VLM"),
    "source_image": ("picture", "图片"),
    "source_fallback": ("fallback: kept as a picture", "回退：保留为图片"),
    # Kinds of regions
    "kind_heading": ("heading", "标题"),
    "kind_text": ("text", "正文"),
    "kind_caption": ("caption", "图表说明"),
    "kind_figure": ("figure", "图片"),
    "kind_table": ("table", "表格"),
    "kind_formula": ("formula", "公式"),
    "kind_furniture": ("running head, foot", "页眉页脚"),
    "kind_other": ("other", "其他"),
    # Head
    "tagline": ("Documents to clean Markdown and JSON", "将文档转换为干净的 Markdown 与 JSON"),
    "theme": ("Light or dark", "切换明暗"),
    # Errors
    "busy": ("A conversion is under way: cancel it first.", "正在转换，请先取消。"),
}
"""By name: English, Chinese."""


def catalogue(lang: str) -> dict[str, str]:
    """All texts of a language, by name."""
    place = LANGUAGES.index(lang)
    return {name: texts[place] for name, texts in TEXTS.items()}


def translate(lang: str, name: str, **values: object) -> str:
    """One text in a language."""
    return TEXTS[name][LANGUAGES.index(lang)].format(**values)


def language(accepted: str | None) -> str:
    """A browser's language by its ``Accept-Language``: Chinese if that comes first, else English, as Gradio has it."""
    return "zh" if (accepted or "").strip().lower().startswith("zh") else "en"
