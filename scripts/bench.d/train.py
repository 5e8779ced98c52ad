"""Training measured beside PyTorch, by turns in one run; called by scripts/bench train.

step    one training step of ResNet-18 + SCN, batch 64, fp32: ours against PyTorch eager in the better of its two memory
        layouts (limit 1.00), and what of ours is not forward and backward (limit 5 %)
loader  decode, resize, augment, batch: ours against a DataLoader with 2 workers (limit 2x the images a second)
epoch   whole steps from JPEG files on disk against the step alone (limit 0.95 of its images a second, 0.90 on CUDA): of a
        first epoch, which decodes each, and of later ones, which find them in memory
"""
import argparse, concurrent.futures, json, pathlib, statistics, subprocess, sys, tempfile, time

import numpy, torch, torchvision
from PIL import Image, ImageFilter

BATCH, CLASSES, BETA, MARGIN_1, MARGIN_2 = 64, 7, 0.7, 0.07, 0.2


class Ours:
    """The program, asked one question at a time."""

    def __init__(self, program):
        self.child = subprocess.Popen(
            [program, "measure-train"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, measure, **question):
        self.child.stdin.write(json.dumps({"measure": measure, **question}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            sys.exit("bench: the program ended early")
        return json.loads(line)


class Scn(torch.nn.Module):
    """The reference's net: torchvision's ResNet-18, a classifier, and the importance head."""

    def __init__(self):
        super().__init__()
        self.net = torchvision.models.resnet18(num_classes=CLASSES)
        self.fc, self.net.fc = self.net.fc, torch.nn.Identity()
        self.alpha = torch.nn.Sequential(torch.nn.Linear(512, 1), torch.nn.Sigmoid())

    def forward(self, pictures):
        feature = self.net(pictures)
        importance = self.alpha(feature)
        return importance, importance * self.fc(feature)


class Theirs:
    """The reference loop's step, in one memory layout."""

    def __init__(self, px, device, layout, half):
        torch.manual_seed(0)
        self.net = Scn().to(device).to(memory_format=layout).train()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, weight_decay=1e-4)
        self.pictures = torch.rand(BATCH, 3, px, px, device=device).to(memory_format=layout)
        self.labels = torch.arange(BATCH, device=device) % CLASSES
        self.device, self.half, self.right = device, half, 0

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.half):
            importance, logits = self.net(self.pictures)
        importance, logits = importance.float(), logits.float()
        tops = int(BATCH * BETA)
        ordered = importance.squeeze(1)
        _, top = torch.topk(ordered, tops)
        _, down = torch.topk(ordered, BATCH - tops, largest=False)
        rank = (ordered[down].mean() - ordered[top].mean() + MARGIN_1).clamp(min=0)
        loss = torch.nn.functional.cross_entropy(logits, self.labels) + rank
        loss.backward()
        self.optimizer.step()
        best, predicted = torch.max(logits.detach(), 1)
        self.right += predicted.eq(self.labels).sum().item()
        probabilities = torch.softmax(logits.detach(), 1)
        p_max, _ = probabilities.max(1)
        p_given = probabilities.gather(1, self.labels.view(-1, 1)).squeeze(1)
        torch.where(p_max - p_given > MARGIN_2)[0].cpu().numpy()
        loss.item()

    def seconds(self, steps):
        self.step()
        told = []
        for _ in range(steps):
            began = time.perf_counter()
            self.step()
            if self.device != "cpu":
                torch.cuda.synchronize()
            told.append(time.perf_counter() - began)
        return told


class Pictures(torch.utils.data.Dataset):
    def __init__(self, folder, px):
        transforms = torchvision.transforms
        self.paths = sorted(folder.iterdir())
        self.make = transforms.Compose([
            transforms.RandomHorizontalFlip(), transforms.Resize((px, px)), transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            transforms.RandomErasing(p=0.25, scale=(0.02, 0.25))])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, at):
        return self.make(Image.open(self.paths[at]).convert("RGB")), at % CLASSES, at


def draw(folder, side, count):
    """Faces have smooth skin and fine detail: about 4 KB at 100 px, 14 KB at 224 px."""
    folder.mkdir()

    def draw_one(at):
        chance = numpy.random.default_rng([side, at])
        coarse = Image.fromarray(chance.integers(0, 255, (side // 12, side // 12, 3), dtype=numpy.uint8))
        picture = numpy.asarray(coarse.resize((side, side), Image.BICUBIC), dtype=numpy.float32)
        fine = Image.fromarray(chance.integers(0, 255, (side, side, 3), dtype=numpy.uint8))
        fine = numpy.asarray(fine.filter(ImageFilter.GaussianBlur(1.2)), dtype=numpy.float32) - 127
        Image.fromarray((picture + 0.3 * fine).clip(0, 255).astype(numpy.uint8)).save(
            folder / f"{at:05}.jpg", quality=90)

    with concurrent.futures.ThreadPoolExecutor() as threads:
        for _ in threads.map(draw_one, range(count)):
            pass


def settle(device):
    """Lets the other side's threads fall asleep."""
    time.sleep(0.3)


def verdict(holds):
    return "ok" if holds else "MISSED"


def bench_step(ours, px, rounds, device, precision):
    half = precision == "bf16"
    steps = max(2, min(12, 700 // px)) if device == "cpu" else 40
    theirs = {name: Theirs(px, device, layout, half) for name, layout in
              [("contiguous", torch.contiguous_format), ("channels-last", torch.channels_last)]}
    times, alone, words = {"ours": []}, [], ""
    for _ in range(rounds):
        answer = ours.ask("step", px=px, batch=BATCH, steps=steps, device=device.replace("cuda", "cuda:0"), precision=precision)
        times["ours"] += answer["seconds"]
        alone += answer["forward_backward_s"]
        words = answer["device"]
        for name, side in theirs.items():
            settle(device)
            times.setdefault(name, []).extend(side.seconds(steps))
        settle(device)
    median = {name: statistics.median(told) for name, told in times.items()}
    best = min(theirs, key=median.get)
    ratio = median["ours"] / median[best]
    around = 1 - statistics.median(alone) / median["ours"]
    print(f"step {px:4} px  ours {1e3 * median['ours']:7.1f} ms ({words})  PyTorch "
          f"{1e3 * median['contiguous']:.1f} contiguous, {1e3 * median['channels-last']:.1f} channels-last  "
          f"ratio {ratio:.3f} {verdict(ratio <= 1.0)}  around {100 * around:4.1f} % {verdict(around <= 0.05) if device == 'cpu' else ''}", flush=True)
    return {"measure": "step", "px": px, "seconds": median, "ratio": ratio, "around": around, "ours": words}


def bench_loader(ours, folder, side, px, rounds):
    rates = {"ours": [], "theirs": []}
    loader = torch.utils.data.DataLoader(
        Pictures(folder, px), batch_size=BATCH, num_workers=2, persistent_workers=True)
    for _ in loader:
        pass
    for _ in range(rounds):
        answer = ours.ask("loader", folder=str(folder), px=px, batch=BATCH)
        rates["ours"].append(answer["pictures"] / answer["seconds"][0])
        settle("cpu")
        began = time.perf_counter()
        seen = sum(len(labels) for _, labels, _ in loader)
        rates["theirs"].append(seen / (time.perf_counter() - began))
    del loader
    best = {name: statistics.median(told) for name, told in rates.items()}
    ratio = best["ours"] / best["theirs"]
    print(f"loader {side:3} to {px:3} px  ours {best['ours']:6.0f} images/s  DataLoader {best['theirs']:6.0f}  "
          f"ratio {ratio:.2f} {verdict(ratio >= 2)}", flush=True)
    return {"measure": "loader", "from": side, "px": px, "images_per_s": best, "ratio": ratio}


def bench_epoch(ours, folder, side, px, rounds, device):
    steps, whole, again = [], [], []
    for _ in range(rounds):
        answer = ours.ask("step", px=px, batch=BATCH, steps=3 if device == "cpu" else 40, device=device.replace("cuda", "cuda:0"), precision="auto")
        steps += answer["seconds"]
        answer = ours.ask("epoch", folder=str(folder), px=px, batch=BATCH, device=device.replace("cuda", "cuda:0"))
        whole += [BATCH * sum(answer["seconds"]) / answer["pictures"]]
        again += [BATCH * sum(answer["seconds_again"]) / answer["pictures_again"]]
    limit = 0.95 if device == "cpu" else 0.90
    share, later = (statistics.median(steps) / statistics.median(told) for told in (whole, again))
    print(f"epoch {side:3} to {px:3} px  {BATCH / statistics.median(whole):6.1f} images/s, the step alone "
          f"{BATCH / statistics.median(steps):6.1f}  share {share:.3f} {verdict(share >= limit)}  "
          f"later epochs {later:.3f} {verdict(later >= limit)}", flush=True)
    return {"measure": "epoch", "from": side, "px": px, "share": share, "later_share": later}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--only", default="step,loader,epoch")
    parser.add_argument("--px", default="48,112,224")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--json")
    args = parser.parse_args()
    only, sizes = args.only.split(","), [int(px) for px in args.px.split(",")]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}, medians", flush=True)
    ours, told = Ours(args.program), []
    if "step" in only:
        told += [bench_step(ours, px, args.rounds, args.device, args.precision) for px in sizes]
    with tempfile.TemporaryDirectory() as scratch:
        folders = {}
        for side, count in ((100, 2560), (224, 1280)):
            folders[side] = pathlib.Path(scratch) / str(side)
            draw(folders[side], side, count)
        if "loader" in only:
            told += [bench_loader(ours, folders[side], side, px, args.rounds) for side, px in ((100, 48), (100, 112), (224, 224))]
        if "epoch" in only:
            for side, px, count in ((100, 112, 512), (224, 224, 256)):
                few = pathlib.Path(scratch) / f"few-{side}"
                few.mkdir()
                for path in sorted(folders[side].iterdir())[:count if args.device == "cpu" else None]:
                    (few / path.name).hardlink_to(path)
                told.append(bench_epoch(ours, few, side, px, max(1, args.rounds - 1), args.device))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
