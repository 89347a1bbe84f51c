"""The colours that our objects speak: sRGB, as an ICC profile. Source: PS3.3 C.11.15 (ICC Profile)."""

from PIL import ImageCms

# The creation date in an ICC profile, bytes 24 to 35, fixed so that the bytes are always the same. Source: ICC.1 7.2.
_PROFILE_DATE = slice(24, 36)


def srgb() -> bytes:
    """Returns the profile, of even length."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_PROFILE_DATE] = bytes((0x07, 0xCE, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))
    return bytes(profile) + b"\0" * (len(profile) % 2)
