"""topgenre's runtime: a track in, its genres out."""
