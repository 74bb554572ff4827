"""The wheel holds programs of Linux on x86-64, so it says so; Python itself may be of any version."""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformHook(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        # What the embedded PostgreSQL is linked against is in every glibc from 2.17 on.
        build_data["tag"] = "py3-none-manylinux_2_17_x86_64"
