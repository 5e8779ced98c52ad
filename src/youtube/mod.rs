//! The outside: what is asked of YouTube and how its answers and refusals are read. The only room that names reqwest
//! and yt-dlp; it knows nothing of the catalog.
