"""Small feeds for the tests of fares: tables as text, written into a folder."""

from __future__ import annotations

from pathlib import Path

AGENCY = "agency_id,agency_name,agency_timezone\na,Line,Europe/Berlin\n"

# Four stops on line L in zones 1, 2, 2, 3, both ways; stop "x" is served by nothing.
STOPS = (
    "stop_id,stop_name,zone_id,parent_station\n"
    "a,A,1,\nb,B,2,\nc,C,2,\nd,D,3,\nx,X,9,\na1,A platform,1,a\n"
)
ROUTES = "route_id,route_short_name,network_id\nL,L,rail\n"
TRIPS = "route_id,service_id,trip_id\nL,s,out\nL,s,in\n"
STOP_TIMES = (
    "trip_id,stop_id,stop_sequence\n"
    "out,a1,1\nout,b,2\nout,c,3\nout,d,4\nin,d,1\nin,c,2\nin,b,3\nin,a,4\n"
)

LINE = {
    "agency": AGENCY,
    "stops": STOPS,
    "routes": ROUTES,
    "trips": TRIPS,
    "stop_times": STOP_TIMES,
}


def write_feed(folder: Path, **tables: str) -> Path:
    """Write the line with these tables, in place of its own or beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, text in (LINE | tables).items():
        (folder / f"{table}.txt").write_text(text, encoding="utf-8")
    return folder
