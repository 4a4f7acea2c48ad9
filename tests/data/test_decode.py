"""Selective decoding gives the frames that decoding everything gives; what cannot be read is a VideoError."""

import csv
import os
import struct

import av
import cv2
import numpy as np
import pytest
from video_files import decode_all, write_sound, write_video

from mutualnet3d.data.decode import open_video, resolve_backend, scaled_size
from mutualnet3d.errors import ConfigError, VideoError

DECODE_CASES = ("real", "derived")


def windows(num_frames, seed=0):
    """Sets of wanted frames: first, last, all, scattered, repeated, a run in the middle."""
    rng = np.random.default_rng(seed)
    yield [0]
    yield [num_frames - 1]
    yield list(range(num_frames))
    yield sorted(rng.integers(0, num_frames, 4).tolist())
    yield rng.integers(num_frames // 2, num_frames, 6).tolist()
    yield [num_frames // 2] * 3
    yield list(range(num_frames // 3, num_frames // 2 + 1))
    for frame in rng.integers(0, num_frames, 5).tolist():
        yield [frame]


def assert_same_as_everything(path, backend="pyav"):
    whole = decode_all(path)
    with open_video(path, backend) as video:
        assert video.num_frames == len(whole)
        assert video.size == (video.height, video.width) == whole.shape[1:3]
        assert video.count_decodable() == len(whole)
        for wanted in windows(len(whole)):
            np.testing.assert_array_equal(video.frames(wanted), whole[wanted], err_msg=f"frames {wanted}")


GENERATED = {
    "long_gop_b_frames.mp4": {"num_frames": 90, "options": {"g": "250", "bf": "3"}},
    "short_gop_b_frames.mp4": {"num_frames": 90, "options": {"g": "12", "bf": "3"}},
    "b_frames.mkv": {"num_frames": 60, "options": {"g": "12", "bf": "3"}},
    "open_gop.mp4": {"num_frames": 90, "options": {"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"}},
    "open_gop.mkv": {"num_frames": 90, "options": {"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"}},
    "gradual_refresh.mkv": {"num_frames": 60, "options": {"x264-params": "intra-refresh=1:keyint=10:bframes=0"}},
    "all_key_frames.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "late_start.mp4": {"first_pts": 77, "options": {"g": "12", "bf": "2"}},
    "late_start.mkv": {"first_pts": 77, "options": {"g": "12", "bf": "2"}},
    "transport_stream.ts": {"options": {"g": "12", "bf": "2"}},
    "fragmented.mp4": {"options": {"g": "12"}, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "index_first.mp4": {"options": {"g": "12"}, "container_options": {"movflags": "faststart"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "10"}},
    "mpeg4_b_frames.avi": {"codec": "mpeg4", "options": {"g": "10", "bf": "2"}},
    "mpeg4_b_frames.mp4": {"codec": "mpeg4", "options": {"g": "10", "bf": "2"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"g": "10", "bf": "2"}},
    "vp8.webm": {"codec": "libvpx", "options": {"g": "12", "deadline": "realtime", "cpu-used": "8"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=12:bframes=3:log-level=none:pools=1"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "12", "deadline": "realtime", "cpu-used": "8"}},
    "odd_size.mp4": {"size": (33, 47), "pix_fmt": "yuv444p"},
    "portrait.mp4": {"size": (64, 36)},
    "one_frame.mp4": {"num_frames": 1},
    "two_frames.mkv": {"num_frames": 2},
    "slow.mp4": {"fps": 5},
    "turned_90.mp4": {"rotation": 90},
    "turned_180.mp4": {"rotation": 180},
    "turned_270.mp4": {"rotation": 270},
}


@pytest.mark.parametrize("name", GENERATED)
def test_selective_decoding_equals_decoding_everything(tmp_path, name):
    arguments = GENERATED[name]
    if arguments.get("codec", "libx264") not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no encoder {arguments['codec']}")
    path = write_video(tmp_path / name, **arguments)
    assert_same_as_everything(path)
    with open_video(path) as video:
        assert video.fps == pytest.approx(arguments.get("fps", 30), rel=0.1 if name.endswith("mkv") else 1e-3)


MIRRORED = {  # a, b, c, d of the display matrix, and what it does to (H, W, 3)
    "left and right": ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
    "up and down": ((1, 0, 0, -1), lambda frame: frame[::-1]),
    "transposed": ((0, 1, 1, 0), lambda frame: frame.swapaxes(0, 1)),
    "along the other diagonal": ((0, -1, -1, 0), lambda frame: frame[::-1, ::-1].swapaxes(0, 1)),
    "a quarter clockwise": ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),
    "half a turn": ((-1, 0, 0, -1), lambda frame: frame[::-1, ::-1]),
}


@pytest.mark.parametrize("name", MIRRORED)
def test_mirrored_pictures_are_as_a_player_shows_them(tmp_path, name):
    (a, b, c, d), shown = MIRRORED[name]
    path = write_video(tmp_path / "plain.mp4", 3)
    with open_video(path) as video:
        plain = video.frames([0, 2])
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44  # of the track's header, version 0: 9 numbers of 4 bytes
    content[matrix : matrix + 36] = struct.pack(
        ">9i",
        a << 16,
        b << 16,
        0,
        c << 16,
        d << 16,
        0,
        64 << 16 if a + c < 0 else 0,
        48 << 16 if b + d < 0 else 0,
        1 << 30,
    )
    path.write_bytes(content)
    with open_video(path) as video:
        frames = video.frames([0, 2])
        assert video.size == frames.shape[1:3]
    for got, expected in zip(frames, plain, strict=True):
        np.testing.assert_array_equal(got, shown(expected))


def test_a_file_that_changes_its_size_keeps_the_first(tmp_path):
    parts = [write_video(tmp_path / f"{width}.ts", 12, size=(48, width)) for width in (64, 96)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(parts[0]) as first, open_video(parts[1]) as second, open_video(joined) as video:
        assert (video.num_frames, video.size) == (24, (48, 64))
        frames, alone = video.frames([3, 20], 32), first.frames([3], 32)
        np.testing.assert_array_equal(frames[0], alone[0])
        squeezed = [cv2.resize(frame, alone.shape[2:0:-1]) for frame in second.all_frames()]
        assert np.argmin([np.abs(frames[1].astype(int) - frame).mean() for frame in squeezed]) == 20 - 12
        assert [frame.shape for frame in video.all_frames()] == [(48, 64, 3)] * 24


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 40, options={"g": "40", "bf": "2"})
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        step = int(1 / (30 * source.streams.video[0].time_base))
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - 5 * step, packet.dts - 5 * step, stream
                target.mux(packet)
    assert len(decode_all(cut)) < 40
    assert_same_as_everything(cut)


def test_frames_that_are_decoded_but_never_shown_are_not_counted(tmp_path):
    """VP8 keeps such frames in packets of their own."""
    if "libvpx" not in av.codecs_available:
        pytest.skip("this build of PyAV has no encoder libvpx")
    whole = write_video(tmp_path / "whole.webm", 40, codec="libvpx", options={"g": "15", "deadline": "realtime"})
    path = tmp_path / "hidden.webm"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(source.streams.video[0]) if p.size):
            pts, data = packet.pts, bytes(packet)
            if number in (8, 20):
                hidden = av.Packet(bytes([data[0] & ~0x10]) + data[1:])  # the bit says whether the frame is shown
                hidden.pts = hidden.dts = pts - 10
                hidden.time_base, hidden.stream = packet.time_base, stream
                target.mux(hidden)
            packet.stream = stream
            target.mux(packet)
    with av.open(str(path)) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == 42
    assert len(decode_all(path)) == 40
    assert_same_as_everything(path)


def test_decoding_starts_at_the_key_frame_and_stops_after_the_last_wanted_frame(tmp_path):
    path = write_video(tmp_path / "video.mp4", 120, options={"g": "10", "bf": "0", "x264-params": "scenecut=0"})
    with open_video(path) as video:
        decoded = []
        original = video._decoded_frames
        video._decoded_frames = lambda needed: (decoded.append(frame.pts) or frame for frame in original(needed))
        video.frames([64, 66])
    assert 7 <= len(decoded) <= 9, "frames 60..66 are needed, and one or two more may be in the decoder"


def test_only_wanted_frames_are_converted(tmp_path):
    path = write_video(tmp_path / "video.mp4", 40)
    with open_video(path) as video:
        converted = []
        original = video._picture
        video._picture = lambda frame, side: converted.append(frame.pts) or original(frame, side)
        video.frames([3, 30, 30, 12])
    assert len(converted) == 3


@pytest.mark.parametrize(("size", "short_side", "expected"), [((48, 64), 36, (36, 48)), ((64, 48), 33, (44, 33))])
def test_short_side(tmp_path, size, short_side, expected):
    path = write_video(tmp_path / "video.mp4", 5, size)
    with open_video(path) as video:
        assert video.frames([1, 2], short_side=short_side).shape == (2, *expected, 3)
    assert scaled_size(*size, short_side) == expected


def test_short_side_of_a_turned_video(tmp_path):
    path = write_video(tmp_path / "video.mp4", 5, (40, 64), rotation=90)
    with open_video(path) as video:
        assert video.size == (64, 40)
        assert video.frames([0], short_side=20).shape == (1, 32, 20, 3)


@pytest.mark.parametrize("indices", [[-1], [5], [0, 99], []])
def test_indices_outside_the_video_are_refused(tmp_path, indices):
    with open_video(write_video(tmp_path / "video.mp4", 5)) as video, pytest.raises(IndexError, match=r"video\.mp4"):
        video.frames(indices)


def test_a_cut_off_file_is_read_to_its_end(tmp_path):
    whole = write_video(
        tmp_path / "whole.mp4", 60, options={"g": "12"}, container_options={"movflags": "faststart"}
    ).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    with open_video(cut) as video:
        assert video.promised_frames == 60
        decodable = video.count_decodable()
        assert 20 < decodable <= video.num_frames < 60
        frames = video.frames(range(video.num_frames))
        np.testing.assert_array_equal(frames[:decodable], decode_all(tmp_path / "whole.mp4")[:decodable])
        assert all(np.array_equal(frame, frames[decodable - 1]) for frame in frames[decodable:])


def damage(path, first_frame, last_frame):
    """Overwrite the packets of some frames of an MP4 with zeros."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(container.streams.video[0]) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in places[first_frame : last_frame + 1]:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)


def test_damage_before_the_wanted_frames_is_an_error(tmp_path):
    path = write_video(tmp_path / "video.mp4", 40, options={"g": "100", "bf": "0"})
    intact = decode_all(path)
    damage(path, 20, 22)
    with open_video(path) as video:
        np.testing.assert_array_equal(video.frames([3, 18]), intact[[3, 18]])
        with pytest.raises(VideoError, match=r"damaged at second 0\.\d\d"):
            video.frames([35])
        with pytest.raises(VideoError, match="damaged"):
            video.count_decodable()


def test_a_video_of_which_nothing_decodes(tmp_path):
    path = write_video(tmp_path / "video.mp4", 1)
    damage(path, 0, 0)
    with pytest.raises(VideoError), open_video(path) as video:
        video.frames([0])


UNREADABLE = {
    "missing": lambda path: None,
    "folder": os.mkdir,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no video\n" * 200),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "pipe": os.mkfifo,
    "sound_only": write_sound,
    "playlist": lambda path: path.write_text("#EXTM3U\n#EXTINF:9,\nhttp://192.0.2.1/a.ts\n#EXT-X-ENDLIST\n"),
    "index_missing": lambda path: path.write_bytes(write_video(path).read_bytes()[:-1500]),
}


@pytest.mark.parametrize("backend", ["pyav", "decord"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_things_are_video_errors(tmp_path, capfd, kind, backend):
    if backend == "decord":
        pytest.importorskip("decord")
    path = tmp_path / f"{kind}.mp4"
    UNREADABLE[kind](path)
    capfd.readouterr()
    with pytest.raises(VideoError) as caught, open_video(path, backend) as video:
        video.frames([0])
    assert caught.value.path == str(path)
    assert caught.value.reason
    assert "\n" not in caught.value.reason
    if backend == "pyav":  # decord writes a line of its own
        assert capfd.readouterr().err == ""


def test_names_that_look_like_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a:b.mp4", "-video.mp4", "öäü 1.mp4", "http:"):
        os.rename(write_video("plain.mp4", 3), name)
        with open_video(name) as video:
            assert video.num_frames == 3


def test_ffmpeg_stays_silent_and_its_log_level_as_it_was(tmp_path, capfd):
    path = write_video(tmp_path / "video.mp4", 40, options={"g": "100", "bf": "0"})
    damage(path, 20, 20)
    before = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with open_video(path) as video, pytest.raises(VideoError):
            video.frames([39])
        assert av.logging.get_level() == av.logging.WARNING
    finally:
        av.logging.set_level(before)
    assert capfd.readouterr().err == ""


def test_backends_give_the_same_frames(tmp_path):
    pytest.importorskip("decord")
    for name in ("short_gop_b_frames.mp4", "b_frames.mkv", "mpeg4.avi", "portrait.mp4"):
        path = write_video(tmp_path / name, **GENERATED[name])
        with open_video(path) as one, open_video(path, "decord") as other:
            assert (one.num_frames, one.size) == (other.num_frames, other.size)
            for wanted in windows(one.num_frames):
                np.testing.assert_array_equal(one.frames(wanted, 30), other.frames(wanted, 30))


def test_backends_give_the_same_frames_of_real_videos(shared_data):
    pytest.importorskip("decord")
    for name in ("decord_video_180.mov", "decord_video_270.mov", "mmaction2_test.mp4", "moviepy_transparent.webm"):
        path = shared_data / "decode_cases" / "real" / name
        with open_video(path) as one, open_video(path, "decord") as other:
            assert (one.num_frames, one.fps, one.size) == (other.num_frames, other.fps, other.size)
            wanted = [0, one.num_frames // 2, one.num_frames - 1]
            np.testing.assert_array_equal(one.frames(wanted, 64), other.frames(wanted, 64))


def test_torchvision_means_pyav_and_the_log_says_so(tmp_path, caplog):
    resolve_backend.cache_clear()
    path = write_video(tmp_path / "video.mp4", 3)
    with caplog.at_level("INFO"):
        for _ in range(3):
            open_video(path, "torchvision").close()
    assert len(caplog.records) == 1
    assert "PyAV is used instead" in caplog.text


def test_unknown_backend(tmp_path):
    with pytest.raises(ConfigError, match="'opencv'; it must be one of pyav, decord, torchvision"):
        open_video(tmp_path / "video.mp4", "opencv")


def test_decord_that_is_not_installed(monkeypatch):
    resolve_backend.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "decord", None)
    with pytest.raises(ConfigError, match="pip install decord"):
        resolve_backend("decord")


def test_every_decode_case(shared_data):
    """The count of the manifest, or a VideoError; every frame as decoding everything gives it."""
    for kind in DECODE_CASES:
        with open(shared_data / "decode_cases" / f"manifest_{kind}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            path = shared_data / "decode_cases" / kind / row["file"]
            if row["pyav_error"]:
                with pytest.raises(VideoError):
                    open_video(path)
                continue
            with open_video(path) as video:
                assert video.num_frames == int(row["pyav_frames"]), path
                if int(row["width"]) <= 400:
                    whole = decode_all(path)
                    for wanted in list(windows(len(whole)))[3:8]:
                        np.testing.assert_array_equal(video.frames(wanted), whole[wanted], err_msg=str(path))
                else:
                    assert video.frames([video.num_frames - 1], 64).shape[0] == 1


def test_real_clips(shared_data):
    for path in sorted((shared_data / "jhmdb" / "videos").glob("*/*.mp4"))[::40]:
        assert_same_as_everything(path)
