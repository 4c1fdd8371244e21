"""Files: inputs, output folders, journals, pages kept on disk, object stores."""
