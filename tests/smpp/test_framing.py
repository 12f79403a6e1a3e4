"""The stream is cut into PDUs at any split, and a command_length that cannot be ends it."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smpp import EnquireLink, FrameBuffer, FramingError, SubmitSm, encode

FRAMES = [
    encode(EnquireLink(sequence_number=1)),
    encode(SubmitSm(destination_addr="1", short_message=b"x" * 254, sequence_number=2)),
    encode(EnquireLink(sequence_number=3)),
]


@given(st.lists(st.integers(0, sum(map(len, FRAMES)))))
@settings(deadline=None, max_examples=150)
def test_any_split_gives_the_same_frames(cuts: list[int]) -> None:
    """Trap 1: one TCP read is not one PDU."""
    stream = b"".join(FRAMES)
    edges = [0, *sorted(cuts), len(stream)]
    buffer = FrameBuffer()
    assert [f for a, b in pairwise(edges) for f in buffer.feed(stream[a:b])] == FRAMES


def test_one_octet_at_a_time_gives_the_same_frames() -> None:
    buffer = FrameBuffer()
    assert [frame for octet in b"".join(FRAMES) for frame in buffer.feed(bytes([octet]))] == FRAMES


@pytest.mark.parametrize("length", [0, 4, 15, 65537, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_bad_command_length_is_refused_as_soon_as_it_is_read(length: int) -> None:
    """Trap 14: cap command_length; framing is lost."""
    with pytest.raises(FramingError) as caught:
        FrameBuffer().feed(length.to_bytes(4, "big"))
    assert caught.value.evidence == length.to_bytes(4, "big")


def test_whole_frames_before_a_bad_length_are_kept() -> None:
    with pytest.raises(FramingError) as caught:
        FrameBuffer().feed(FRAMES[0] + FRAMES[1] + bytes(40))
    assert caught.value.frames == FRAMES[:2]
    assert caught.value.evidence == bytes(16)


def test_the_largest_allowed_frame_passes_and_one_octet_more_does_not() -> None:
    frame = (64).to_bytes(4, "big") + bytes(60)
    assert FrameBuffer(max_length=64).feed(frame) == [frame]
    with pytest.raises(FramingError):
        FrameBuffer(max_length=63).feed(frame)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_random_octets_raise_nothing_but_the_declared_error(data: bytes) -> None:
    buffer = FrameBuffer()
    try:
        frames = buffer.feed(data)
    except FramingError as error:
        frames = error.frames
    assert data.startswith(b"".join(frames))
