"""The patch of doclayout_yolo."""
