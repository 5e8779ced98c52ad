//! Rows in; HTML, Markdown and JSON out.
