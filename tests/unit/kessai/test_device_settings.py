"""Which settings there are, and what each may be."""

from __future__ import annotations

import pytest

from kessai.device_settings import SETTINGS, SettingError, check_setting


@pytest.mark.parametrize("key", SETTINGS)
def test_each_setting_has_its_limits(key: str) -> None:
    """Both ends are in, what is beyond is out."""
    setting = SETTINGS[key]
    check_setting(key, setting.least)
    check_setting(key, setting.most)
    for beyond in (setting.least - 1, setting.most + 1):
        with pytest.raises(SettingError, match=key):
            check_setting(key, beyond)


def test_what_is_no_setting() -> None:
    """The message names those that there are."""
    with pytest.raises(SettingError, match="offline_payment_limit_minor"):
        check_setting("colour", 1)
