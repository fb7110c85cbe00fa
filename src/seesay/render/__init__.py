"""What a person looks at: an account of a picture in the terminal and on a page."""
