"""What people write: OpenCV reads, MTCNN of facenet-pytorch looks five times a second, boxes are joined by overlap."""

import json
import sys
import time

import cv2
import torch
from facenet_pytorch import MTCNN

RATE, MIN_FACE_PX, MIN_OVERLAP, MAX_GAP_S = 5.0, 40, 0.3, 0.5


def overlap(a, b):
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    area = lambda c: (c[2] - c[0]) * (c[3] - c[1])
    return across * down / (area(a) + area(b) - across * down)


def main():
    torch.set_num_threads(2)
    nets = MTCNN(keep_all=True, min_face_size=MIN_FACE_PX, device="cpu")
    began, cpu = time.monotonic(), time.process_time()
    capture = cv2.VideoCapture(sys.argv[1])
    fps = capture.get(cv2.CAP_PROP_FPS)
    tracks, at, due = [], 0, 0.0
    while capture.grab():
        t = at / fps
        at += 1
        if t + 1e-6 < due:
            continue
        due += 1 / RATE
        frame = cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
        boxes, _ = nets.detect(frame)
        for box in [] if boxes is None else boxes:
            near = [track for track in tracks if t - track[-1][0] <= MAX_GAP_S and track[-1][0] < t]
            best = max(near, key=lambda track: overlap(track[-1][1], box), default=None)
            if best and overlap(best[-1][1], box) >= MIN_OVERLAP:
                best.append((t, box))
            else:
                tracks.append([(t, box)])
    print(json.dumps({"wall": time.monotonic() - began, "cpu": time.process_time() - cpu, "tracks": len(tracks)}))


if __name__ == "__main__":
    main()
