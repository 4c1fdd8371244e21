"""Files that go in and come out: inputs, output folders, journals, pages that wait on disk, object stores."""
