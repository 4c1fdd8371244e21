"""Tables as HTML, from rules and from the places of their text."""
