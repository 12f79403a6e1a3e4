"""The manual's tables of codes: each is known, and has the class that the carriers act on."""

import pytest

from gateway.provider.results import RESULTS, STATUSES, Function, MessageStatus, ResultClass, describe, message_status, result

F, C = Function, ResultClass

# The tables as the manual prints them, one by one.
MANUAL: dict[Function, tuple[int, ...]] = {
    F.SEND: (1, 0, 61, 72, 73, 74, 76, 77, 78, 79, 83, 84, *range(89, 100)),
    F.MULT: (1, 0, 72, 73, 74, 76, 77, 78, 79, *range(83, 100)),
    F.RECV: (1, 0, 93),
    F.CRDTF: (1, 0, 93, 99),
    F.CNNVL: (1, 0, 93, 99),
    F.CNUS: (1, 0, 93, 99),
    F.CADUS: (1, 0, -1, -2, -3, -4, -5, -6, 93, 99),
    F.ALTUS: (1, 0, -1, -2, -3, -4, 93, 99),
    F.CRCTN: (1, 0, 86, 93, 99),
    F.CICT: (-1, 93, 99),
    F.CACT: (1, 0, 93, 99),
    F.OPER: (0, 93, 99),
    F.SEND_UNIQUE: (1, *range(83, 100), 200, 300),
    F.SEND_MULTIPLE: (1, *range(83, 100), 200, 300),
    F.INBOX: (1, 93, 99),
    F.STATUS: (86, 93, 99),
    F.CANCEL: (86, 93, 99),
}
MANUAL_STATUSES: dict[Function, tuple[int, ...]] = {
    F.CACL: (0, 1, 2, 3, 5, 9, 255),
    F.STAT: (0, 1, 2, 3, 5, 9),
    F.STAM: (0, 1, 2, 5, 3),
    F.STATUS: (0, 1, 2, 3, 5, 7, 9),
    F.CANCEL: (1, 2, 5, 9),
}
SEND_CLASSES: dict[ResultClass, tuple[int, ...]] = {
    C.ACCEPTED: (1,),
    C.UNDER_REVIEW: (61,),
    C.NOT_CONCLUDED: (0,),
    C.BAD_REQUEST: (85, 86, 87, 88),
    C.BAD_MESSAGE: (77, 78, 79, 84, 89, 90, 91, 92, 95, 96),
    C.NOT_BY_THIS_CARRIER: (72, 76, 83),
    C.BAD_ACCOUNT: (73, 74, 93, 98, 99),
    C.NO_CREDITS: (97,),
    C.THEIR_FAULT: (94,),
}


@pytest.mark.parametrize(("function", "code"), [(function, code) for function, codes in MANUAL.items() for code in codes])
def test_every_code_of_every_table_has_a_class_and_words(function: Function, code: int) -> None:
    assert result(function, code).result_class is not C.UNKNOWN
    assert describe(function, code)


@pytest.mark.parametrize(("function", "statuses"), MANUAL_STATUSES.items())
def test_every_status_of_every_table_is_known(function: Function, statuses: tuple[int, ...]) -> None:
    assert set(statuses) <= {int(status) for status in STATUSES[function]}
    assert all(message_status(number) == number for number in statuses)


def test_no_function_is_without_a_table() -> None:
    assert set(RESULTS) == set(Function)
    assert set(MANUAL) | set(MANUAL_STATUSES) == set(Function)


@pytest.mark.parametrize("function", [F.SEND, F.MULT])
@pytest.mark.parametrize(("expected", "codes"), SEND_CLASSES.items())
def test_the_codes_of_sending_by_http_have_the_class_that_the_carrier_acts_on(
    function: Function, expected: ResultClass, codes: tuple[int, ...]
) -> None:
    assert {result(function, code).result_class for code in codes} == {expected}


def test_sending_by_http_knows_no_other_codes() -> None:
    assert set(RESULTS[F.SEND]) == {code for codes in SEND_CLASSES.values() for code in codes}


@pytest.mark.parametrize("function", [F.SEND_UNIQUE, F.SEND_MULTIPLE])
def test_the_web_service_means_something_else_by_83_and_has_two_codes_of_its_own(function: Function) -> None:
    assert result(function, 83).result_class is C.BAD_REQUEST
    assert result(function, 200).result_class is C.ACCEPTED
    assert result(function, 300).result_class is C.BAD_MESSAGE
    differing = {code for code, each in RESULTS[function].items() if RESULTS[F.SEND].get(code) != each}
    assert differing == {83, 200, 300}


@pytest.mark.parametrize("code", [2, 60, 75, 100, 200, 300, -1, 999999])
def test_a_code_that_is_in_no_table_is_unknown_and_named(code: int) -> None:
    assert result(F.SEND, code).result_class is C.UNKNOWN
    assert str(code) in describe(F.SEND, code)


def test_minus_three_of_a_new_user_is_not_minus_three_of_a_changed_one() -> None:
    assert describe(F.CADUS, -3) != describe(F.ALTUS, -3)
    assert result(F.CADUS, -3).result_class is result(F.ALTUS, -3).result_class is C.REFUSED


def test_one_is_no_success_where_it_is_a_status_or_an_id() -> None:
    for function in (F.CACL, F.STAT, F.STAM, F.STATUS, F.CANCEL, F.CICT, F.OPER):
        assert 1 not in RESULTS[function]


def test_zero_is_a_status_of_the_web_service_and_no_failure() -> None:
    assert 0 not in RESULTS[F.STATUS]
    assert message_status(0) is MessageStatus.WAITING


def test_numbers_that_are_no_status_are_none() -> None:
    assert [message_status(number) for number in (None, 4, 6, 8, 10, 254, -1)] == [None] * 7
