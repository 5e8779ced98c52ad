//! libtorch behind one wall: nets, losses, the loop. Blocking; knows nothing of the catalog.
