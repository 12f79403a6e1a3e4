"""Whose answer is whose in a batch: proven by echo or by order, or nobody's."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.provider.answers import Entry, SendMultipleAnswer
from gateway.provider.http import BatchItem, SendSame
from gateway.provider.parsing import parse
from gateway.provider.results import RESULTS, Function, ResultClass
from gateway.provider.sends import BatchMatch, match_batch

MD5S = [f"{place:031x}a" for place in range(20)]
ASKED = [BatchItem("11900000001", "um", 100544), BatchItem("11900000002", "dois", 100545), BatchItem("1132000003", "três", 100546)]


def match(answer: str, asked: list[BatchItem] = ASKED, function: Function = Function.MULT) -> BatchMatch:
    parsed = parse(function, answer.encode())
    assert isinstance(parsed, SendMultipleAnswer)
    return match_batch(parsed.entries, asked)


def codes(matched: BatchMatch) -> dict[int, int | None]:
    return {place: entry.code for place, entry in matched.answers.items()}


def protocols(matched: BatchMatch) -> dict[int, str]:
    return {place: entry.protocol for place, entry in matched.answers.items()}


FORMS = {
    "number and id": lambda code, md5, item: ";".join(filter(None, (code, md5, item.number, str(item.id)))),
    "id": lambda code, md5, item: ";".join(filter(None, (code, md5, str(item.id)))),
    "number": lambda code, md5, item: ";".join(filter(None, (code, md5, item.number))),
    "number with 55": lambda code, md5, item: ";".join(filter(None, (code, md5, f"55{item.number}"))),
    "number first": lambda code, md5, item: ";".join(filter(None, (item.number, code, md5))),
    "id first": lambda code, md5, item: ";".join(filter(None, (str(item.id), code, md5))),
    "order": lambda code, md5, item: ";".join(filter(None, (code, md5))),
    "words": lambda code, md5, item: ";".join(filter(None, (code, md5, "SUCESSO" if md5 else "NUMERO EM BLACKLIST", item.number))),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_message_gets_its_answer_in_every_form_that_has_a_line_a_message(form: str) -> None:
    rows = [FORMS[form]("1", MD5S[0], ASKED[0]), FORMS[form]("90", "", ASKED[1]), FORMS[form]("1", MD5S[2], ASKED[2])]
    matched = match("\r\n".join(rows))
    assert codes(matched) == {0: 1, 1: 90, 2: 1}
    assert protocols(matched) == {0: MD5S[0], 1: "", 2: MD5S[2]}
    assert matched.unmatched == ()


@pytest.mark.parametrize("form", [form for form in FORMS if form != "order"])
def test_an_echo_goes_before_the_order(form: str) -> None:
    rows = [FORMS[form]("1", MD5S[2], ASKED[2]), FORMS[form]("1", MD5S[0], ASKED[0]), FORMS[form]("90", "", ASKED[1])]
    assert protocols(match("\n".join(rows))) == {0: MD5S[0], 1: "", 2: MD5S[2]}


@pytest.mark.parametrize("form", [form for form in FORMS if form != "order"])
def test_a_message_whose_line_is_missing_is_in_doubt_and_no_other(form: str) -> None:
    rows = [FORMS[form]("1", MD5S[0], ASKED[0]), FORMS[form]("1", MD5S[2], ASKED[2])]
    matched = match("\n".join(rows))
    assert protocols(matched) == {0: MD5S[0], 2: MD5S[2]}
    assert matched.unmatched == (1,)


@pytest.mark.parametrize(
    "answer",
    [
        f"1;{MD5S[0]}\n1;{MD5S[1]}",
        f"1;{MD5S[0]};{MD5S[1]}",
        f"1\n{MD5S[0]}\n{MD5S[1]}",
        "\n".join(f"1;{md5}" for md5 in MD5S[:4]),
        "1",
        "1;SUCESSO",
        "90",
        "61",
        "94",
        "555",
        f"1;{MD5S[0]}",
    ],
)
def test_an_answer_whose_count_is_wrong_and_that_echoes_nothing_leaves_all_in_doubt(answer: str) -> None:
    assert match(answer) == BatchMatch({}, (0, 1, 2))


@pytest.mark.parametrize(
    "answer",
    [
        "1;{};{};{}",
        "1\n{}\n{}\n{}",
        "1;{};1;{};1;{}",
        "1|{};1|{};1|{}",
        "1;{}\n1;{}\n1;{}\n",
        "1 {}\r\n1 {}\r\n1 {}\r\n",
        "1|{}|100544;1|{}|100545;1|{}|100546",
        "1;{};100544;1;{};100545;1;{};100546",
        "{}\n{}\n{}",
    ],
)
def test_protocols_on_one_line_or_on_their_own_belong_to_the_messages_in_order(answer: str) -> None:
    assert protocols(match(answer.format(*MD5S[:3]))) == dict(enumerate(MD5S[:3]))


@pytest.mark.parametrize(
    ("code", "result_class"),
    [(code, each.result_class) for code, each in RESULTS[Function.MULT].items()],
)
def test_a_code_alone_answers_for_the_whole_only_where_nothing_can_have_been_taken(code: int, result_class: ResultClass) -> None:
    matched = match(f"{code};PALAVRAS" if code else "0")
    of_all = {
        ResultClass.BAD_REQUEST,
        ResultClass.BAD_ACCOUNT,
        ResultClass.NO_CREDITS,
        ResultClass.NOT_BY_THIS_CARRIER,
        ResultClass.NOT_CONCLUDED,
    }
    if result_class in of_all:
        assert matched.whole is not None
        assert (matched.whole.code, matched.answers, matched.unmatched) == (code, {}, ())
    else:
        assert matched == BatchMatch({}, (0, 1, 2))


@pytest.mark.parametrize("code", [0, 72, 85, 86, 87, 88, 93, 97])
@pytest.mark.parametrize("form", ["number and id", "id", "number", "number first", "id first", "words"])
def test_a_code_that_names_its_message_speaks_of_that_one_alone_though_no_other_line_came(code: int, form: str) -> None:
    matched = match(FORMS[form](str(code), "", ASKED[1]))
    assert matched.whole is None
    assert set(matched.answers) <= {1}
    assert {0, 2} <= set(matched.unmatched)


def test_83_speaks_of_the_whole_in_the_web_service_too_but_as_a_shape() -> None:
    matched = match("83", function=Function.SEND_MULTIPLE)
    assert matched.whole is not None
    assert matched.whole.result_class is ResultClass.BAD_REQUEST


def test_one_message_alone_is_never_answered_as_a_whole() -> None:
    assert codes(match("93", ASKED[:1])) == {0: 93}
    assert codes(match(f"1;{MD5S[0]}", ASKED[:1])) == {0: 1}


def test_an_echo_of_somebody_elses_id_proves_nothing_even_where_the_count_is_exact() -> None:
    matched = match(f"1;{MD5S[0]};100544\n1;{MD5S[1]};999999\n1;{MD5S[2]};100546")
    assert protocols(matched) == {0: MD5S[0], 2: MD5S[2]}
    assert matched.unmatched == (1,)


def test_an_id_and_a_number_that_contradict_each_other_prove_nothing() -> None:
    matched = match(f"1;{MD5S[0]};11900000002;100544\n1;{MD5S[1]};11900000001;100545\n1;{MD5S[2]};1132000003;100546")
    assert protocols(matched) == {2: MD5S[2]}
    assert matched.unmatched == (0, 1)


def test_a_message_that_is_answered_twice_and_differently_is_in_doubt() -> None:
    matched = match(f"1;{MD5S[0]};100544\n90;100544\n1;{MD5S[2]};100546")
    assert protocols(matched) == {2: MD5S[2]}
    assert matched.unmatched == (0, 1)


def test_the_same_answer_twice_is_one_answer() -> None:
    assert protocols(match("\n".join([f"1;{MD5S[0]};100544"] * 2 + [f"1;{MD5S[2]};100546"] * 2))) == {0: MD5S[0], 2: MD5S[2]}


def test_the_same_number_twice_is_told_apart_by_order_or_by_id_and_else_not_at_all() -> None:
    twice = [BatchItem("11900000001", "um"), BatchItem("11900000001", "dois"), BatchItem("11900000002", "três")]
    whole = match(f"1;{MD5S[0]};11900000001\n1;{MD5S[1]};11900000001\n1;{MD5S[2]};11900000002", twice)
    assert protocols(whole) == dict(enumerate(MD5S[:3]))
    cut = match(f"1;{MD5S[1]};11900000001\n1;{MD5S[2]};11900000002", twice)
    assert protocols(cut) == {2: MD5S[2]}


def test_a_line_that_may_be_of_either_of_two_messages_leaves_both_in_doubt_whatever_else_is_said() -> None:
    twice = [BatchItem("11900000001", "um", 100544), BatchItem("11900000001", "dois", 100545), BatchItem("11900000002", "três", 100546)]
    matched = match(f"1;{MD5S[0]};100544\n90;11900000001", twice)
    assert matched == BatchMatch({}, (0, 1, 2))


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_whose_answer_breaks_off_after_a_message_that_was_taken_tells_nothing_wrong(form: str) -> None:
    rows = [FORMS[form]("1", MD5S[0], ASKED[0]), FORMS[form]("97", "", ASKED[1]), FORMS[form]("1", MD5S[2], ASKED[2])]
    answer = "\n".join(rows)
    for length in range(len(answer)):
        parsed = parse(Function.MULT, answer[:length].encode())
        if isinstance(parsed, SendMultipleAnswer):
            matched = match_batch(parsed.entries, ASKED)
            assert matched.whole is None
            for place, entry in matched.answers.items():
                true = ResultClass.NO_CREDITS if place == 1 else ResultClass.ACCEPTED
                assert entry.result_class in {true, ResultClass.UNKNOWN}


def test_a_line_that_cannot_be_read_leaves_its_message_in_doubt() -> None:
    matched = match(f"1;{MD5S[0]};100544\nERRO INTERNO\n1;{MD5S[2]};100546")
    assert protocols(matched) == {0: MD5S[0], 2: MD5S[2]}
    assert matched.unmatched == (1,)


def test_one_text_to_several_numbers_is_matched_by_number() -> None:
    asked = SendSame(numbers=("11900000001", "11900000002"), text="oi").asked
    assert protocols(match(f"1;{MD5S[1]};11900000002\n1;{MD5S[0]};11900000001", list(asked))) == {0: MD5S[0], 1: MD5S[1]}


NUMBERS = st.sampled_from([f"1190000000{digit}" for digit in range(5)])
BATCHES = st.lists(st.tuples(NUMBERS, st.booleans()), min_size=2, max_size=8) | st.lists(
    st.tuples(NUMBERS, st.booleans()), min_size=2, max_size=5, unique_by=lambda message: message[0]
)


@settings(deadline=None)
@given(batch=BATCHES, form=st.sampled_from(sorted(FORMS)), data=st.data())
def test_whatever_is_lost_or_shuffled_no_message_ever_gets_anothers_answer(
    batch: list[tuple[str, bool]], form: str, data: st.DataObject
) -> None:
    asked = [BatchItem(number, "x", 100000 + place) for place, (number, _) in enumerate(batch)]
    rows = [FORMS[form]("1" if taken else "90", MD5S[place] if taken else "", asked[place]) for place, (_, taken) in enumerate(batch)]
    assume("id" in form or len({item.number for item in asked}) == len(asked))  # without ids only order tells the same number apart
    kept = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, max_size=len(rows), unique=True))
    if form == "order":
        kept = sorted(kept)
    matched = match("\n".join(rows[place] for place in kept), asked)
    for place, entry in matched.answers.items():
        taken = batch[place][1]
        assert (entry.code, entry.protocol) == (1 if taken else 90, MD5S[place] if taken else "")
    assert sorted([*matched.answers, *matched.unmatched]) == list(range(len(asked)))
    if form != "order" and form != "words":
        assert set(matched.answers) == set(kept)


@settings(deadline=None)
@given(
    entries=st.lists(
        st.builds(
            Entry,
            function=st.just(Function.MULT),
            code=st.none() | st.sampled_from([0, 1, 61, 85, 90, 93, 555]),
            protocol=st.sampled_from(["", *MD5S[:3]]),
            fields=st.lists(st.sampled_from(["11900000001", "11900000002", "100544", "100545", "7", "X"]), max_size=3).map(tuple),
        ),
        max_size=6,
    ),
    size=st.integers(1, 3),
)
def test_any_entries_leave_every_message_either_answered_or_in_doubt(entries: list[Entry], size: int) -> None:
    matched = match_batch(entries, ASKED[:size])
    if matched.whole is None:
        assert sorted([*matched.answers, *matched.unmatched]) == list(range(size))
        assert all(entry in entries and entry.code is not None for entry in matched.answers.values())
