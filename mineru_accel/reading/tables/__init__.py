"""Tables as HTML, from ruled lines and from the positions of their text."""
