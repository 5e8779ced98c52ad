"""Unpacks libtorch and the MTCNN params from downloaded wheels; called by scripts/setup. Standard library only.

usage: unpack.py cpu|cuda WHEELS LIBTORCH PARAMS
"""
import collections, hashlib, io, json, pathlib, pickle, shutil, struct, sys, zipfile

CPU_LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libtorch.so"}
CPU_EXTRAS = {"libcudart.so.13", "libcupti.so.13"}
PYTHON_ONLY = {"libtorch_python.so", "libshm.so"}
PARAMS_SHA256 = {
    "pnet": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}


def unpack_libtorch(flavour, wheels, target):
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "lib").mkdir(parents=True)
    for wheel in sorted(wheels.glob("*.whl")):
        if wheel.name.startswith("facenet"):
            continue
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                destination = place(flavour, pathlib.PurePosixPath(entry.filename))
                if destination is None or entry.is_dir():
                    continue
                file = part / destination
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, open(file, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    # torch-sys reads the version from here
    (part / "build-version").write_text("2.11.0\n")
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def place(flavour, path):
    """Where a wheel's file goes below LIBTORCH, or None when it is not needed."""
    if path.parts[:2] == ("torch", "include"):
        return pathlib.Path(*path.parts[1:])
    in_library_folder = len(path.parts) > 2 and path.parts[-2] == "lib" and ".so" in path.name
    if not in_library_folder or path.name in PYTHON_ONLY:
        return None
    if flavour == "cuda" or path.name in CPU_LIBRARIES | CPU_EXTRAS:
        return pathlib.Path("lib", path.name)
    return None


Storage = collections.namedtuple("Storage", "key")


class StateDict(pickle.Unpickler):
    """Reads PyTorch's legacy (pre-zip) state dict; refuses every class but the few such a file holds."""

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: (storage, offset, size, stride)
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch", "FloatStorage"):
            return "float32"
        raise pickle.UnpicklingError(f"unexpected class {module}.{name}")

    def persistent_load(self, identity):
        return Storage(identity[2])


def read_state_dict(data):
    stream = io.BytesIO(data)
    for _ in range(3):  # magic number, protocol version, system information
        StateDict(stream).load()
    tensors = StateDict(stream).load()
    storages = {}
    for key in StateDict(stream).load():
        (count,) = struct.unpack("<q", stream.read(8))
        storages[key] = stream.read(4 * count)
    return {
        name: (list(size), contiguous(storages[storage.key], offset, size, stride))
        for name, (storage, offset, size, stride) in tensors.items()
    }


def contiguous(storage, offset, size, stride):
    """The tensor's numbers in row-major order: some of these dense layers are stored transposed."""
    indices = [offset]
    for length, step in zip(size, stride):
        indices = [base + position * step for base in indices for position in range(length)]
    return b"".join(storage[4 * index : 4 * index + 4] for index in indices)


def convert_params(wheels, target):
    target.mkdir(exist_ok=True)
    (wheel,) = wheels.glob("facenet_pytorch-*.whl")
    header, body = {"__metadata__": {"source": "facenet-pytorch 2.6.0 (MIT)"}}, b""
    with zipfile.ZipFile(wheel) as archive:
        for net, expected in PARAMS_SHA256.items():
            data = archive.read(f"facenet_pytorch/data/{net}.pt")
            if hashlib.sha256(data).hexdigest() != expected:
                sys.exit(f"unpack: {net}.pt is not the file that is pinned")
            for name, (shape, numbers) in read_state_dict(data).items():
                header[f"{net}.{name}"] = {
                    "dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(numbers)]}
                body += numbers
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = target / "mtcnn.safetensors.part"
    part.write_bytes(struct.pack("<Q", len(text)) + text + body)
    part.rename(target / "mtcnn.safetensors")


if __name__ == "__main__":
    flavour, wheels, libtorch, params = sys.argv[1], *map(pathlib.Path, sys.argv[2:5])
    unpack_libtorch(flavour, wheels, libtorch)
    convert_params(wheels, params)
