from probes.capture.symbols import readable


def test_a_symbol_loses_the_endings_that_the_compiler_gave_it() -> None:
    assert readable("do_epoll_wait.constprop.0") == "do_epoll_wait"
    assert readable("") == "?"
