"""Checks before `serve` starts that the files named in the settings are there, so that faults are reported at once."""

from collections.abc import Iterator
from pathlib import Path

from dicom_io.network.tls import Tls, client_context, server_context
from workstation.config import ConfigError
from workstation.peers.known import KnownPeer, load_peers
from workstation.site import Site, open_to_others


def check_settings(site: Site) -> list[str]:
    """Returns faults that do not prevent the start, as sentences: each affects only its own part.

    Raises ConfigError for faults that do: TLS files of our own that are missing or do not fit together.
    """
    config = site.config
    for table, settings in (("receiver", config.receiver), ("listener", config.listener)):
        if settings is not None and settings.certificate:
            names = {key: getattr(settings, key) for key in ("client_authority", "certificate", "key")}
            for words in _tls(site.root, table, names, called=True):
                raise ConfigError(f"{site.root / 'config.toml'}: {words}")
    if config.listener is not None and not config.listener.senders:
        raise ConfigError(
            f"{site.root / 'config.toml'}: listener: no senders. Whoever calls could order, report and merge patients, "
            "and so make charges; name each system that is heard as [[listener.senders]]: application and may."
        )
    found = [words] if (words := open_to_others(site.root)) else []
    if config.audit is not None and config.audit.host:
        names = {key: getattr(config.audit, key) for key in ("certificate_authority", "certificate", "key")}
        found += _tls(site.root, "audit", names, called=False)
    for peer in load_peers(site.root):
        found += tls_faults_of(site.root, peer)
    known = {"", *(peer.name for peer in load_peers(site.root))}
    asked = {
        "receiver.expected_from": config.receiver.expected_from,
        "worklist.peer": config.worklist.peer if config.worklist is not None else "",
        **{f"prepare {rule.name!r}: prior.peer": rule.prior.peer for rule in config.prepare if rule.prior is not None},
    }
    found += [
        f"{key}: no peer {name!r}; `workstation peers add` adds it." for key, name in asked.items() if name not in known
    ]
    return found


def tls_faults_of(root: Path, peer: KnownPeer) -> list[str]:
    """Returns the faults of the TLS files for calling a peer."""
    names = {key: getattr(peer, key) for key in ("certificate_authority", "certificate", "key")}
    return list(_tls(root, f"peer {peer.name}", names, called=False)) if any(names.values()) else []


def _tls(root: Path, table: str, names: dict[str, str], *, called: bool) -> Iterator[str]:
    """Yields the faults of TLS files: authority, certificate and key, in this order."""
    paths = {key: root / name for key, name in names.items() if name}
    missing = [f"{table}: {key}: {path} is no file." for key, path in paths.items() if not path.is_file()]
    yield from missing
    if missing:
        return
    try:
        tls = Tls(*(str(paths[key]) if key in paths else "" for key in names))
        server_context(tls) if called else client_context(tls)
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or str(error)
        yield f"{table}: {', '.join(names.values())} cannot be used for TLS: {why}."
