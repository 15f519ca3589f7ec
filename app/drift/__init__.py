"""Has the world moved: what versions are asked, kept in SQL, and held against what their training rows held."""
