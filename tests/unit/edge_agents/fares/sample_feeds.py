"""Small feeds, one for each feature of GTFS fares; each is priced pair by pair in two ways."""

from __future__ import annotations

from pathlib import Path

AGENCY = "agency_id,agency_name,agency_timezone\na,Line,Europe/Berlin\n"
TWO_AGENCIES = AGENCY + "b,Bus,Europe/Berlin\n"
WEEK = "monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date"
CALENDAR = f"service_id,{WEEK}\nwork,1,1,1,1,1,0,0,20260101,20261231\n" + (
    "end,0,0,0,0,0,1,1,20260101,20261231\n"
)
# Whit Monday counts as a Sunday.
DATES = "service_id,date,exception_type\nwork,20260525,2\nend,20260525,1\n"

# Four stations of two platforms each, and an entrance; both ways on line L, and back.
PLATFORMS = (
    "stop_id,stop_name,location_type,parent_station,zone_id\n"
    + "".join(
        f"{name},{name.upper()},1,,\n{name}1,,0,{name},{zone}\n{name}2,,0,{name},{zone}\n"
        for name, zone in (("a", 1), ("b", 2), ("c", 2), ("d", 3))
    )
    + "door,Door,2,a,9\n"
)
ONE_ROUTE = {
    "agency": AGENCY,
    "stops": PLATFORMS,
    "routes": "route_id,route_short_name,network_id\nL,L,rail\n",
    "trips": "route_id,service_id,trip_id\nL,work,out\nL,work,in\n",
    "stop_times": "trip_id,stop_id,stop_sequence\n"
    + "".join(f"out,{stop}1,{place}\n" for place, stop in enumerate("abcd"))
    + "".join(f"in,{stop}2,{place}\n" for place, stop in enumerate("dcba")),
}

# R goes a, b, c; S goes c, d, e; T goes e, f; and back. Stops are stations of one platform.
CHAIN = {
    "agency": TWO_AGENCIES,
    "stops": "stop_id,stop_name,zone_id\n"
    + "".join(
        f"{name},{name.upper()},{zone}\n" for name, zone in zip("abcdef", "112334", strict=True)
    ),
    "routes": "route_id,agency_id,network_id\nR,a,metro\nS,a,metro\nT,b,bus\n",
    "trips": "route_id,service_id,trip_id\n"
    + "".join(f"{route},work,{route}{way}\n" for route in "RST" for way in "12"),
    "stop_times": "trip_id,stop_id,stop_sequence\n"
    + "".join(
        f"{route}{way},{stop},{place}\n"
        for route, stops in (("R", "abc"), ("S", "cde"), ("T", "ef"))
        for way, order in (("1", stops), ("2", stops[::-1]))
        for place, stop in enumerate(order)
    ),
}
ATTRIBUTES = "fare_id,price,currency_type,payment_method,transfers,agency_id\n"
PRODUCTS = "fare_product_id,rider_category_id,amount,currency\n"
RIDERS = (
    "rider_category_id,rider_category_name,is_default_fare_category\n"
    "adult,Adult,1\nchild,Child,0\nsenior,Senior,\n"
)
IN_AND_OUT = "area_id,stop_id\nin,a\nin,b\nout,c\nout,d\nfar,e\nfar,f\n"

FEEDS: dict[str, dict[str, str]] = {
    "zones on platforms": ONE_ROUTE
    | {
        "fare_attributes": ATTRIBUTES + "near,1.50,EUR,1,0,\nfar,4.00,EUR,1,0,\nall,9,EUR,1,0,\n",
        "fare_rules": "fare_id,route_id,origin_id,destination_id,contains_id\n"
        "near,,2,2,\nfar,,1,3,\nfar,,3,1,\nall,,,,1\nall,,,,2\n",
    },
    "amounts": ONE_ROUTE
    | {
        "fare_attributes": ATTRIBUTES + "near,2.7500,USD,1,0,\nfar,10.000,USD,1,0,\n",
        "fare_rules": "fare_id,origin_id,destination_id\nnear,1,2\nfar,1,3\n",
    },
    "yen": ONE_ROUTE | {"fare_attributes": ATTRIBUTES + "all,230.00,JPY,1,0,\n"},
    "two agencies": CHAIN
    | {"fare_attributes": ATTRIBUTES + "bus,1.00,EUR,1,0,b\nrail,2.00,EUR,1,0,a\n"},
    "one change": CHAIN
    | {
        "fare_attributes": ATTRIBUTES + "one,2.00,EUR,1,1,\nnone,1.00,EUR,1,0,\nany,5,EUR,1,,\n",
        "fare_rules": "fare_id,route_id\none,R\none,S\nnone,R\nnone,S\nany,R\nany,S\nany,T\n",
    },
    "zones over changes": CHAIN
    | {
        "fare_attributes": ATTRIBUTES + "two,2.00,EUR,1,,\nthree,3.00,EUR,1,2,\n",
        "fare_rules": "fare_id,route_id,contains_id\ntwo,R,1\ntwo,R,2\ntwo,S,2\ntwo,S,3\n"
        "three,R,1\nthree,R,2\nthree,R,3\nthree,S,1\nthree,S,2\nthree,S,3\n",
    },
    "areas of platforms": ONE_ROUTE
    | {
        # Everything of b and c is "mid", but platform 2 of b is "in".
        "stop_areas": "area_id,stop_id\nin,a\nmid,b\nmid,c\nin,b2\nout,d\n",
        "fare_leg_rules": "from_area_id,to_area_id,fare_product_id\n"
        "in,mid,p\nin,out,q\nmid,out,p\nmid,in,r\nin,in,s\nout,in,q\nout,mid,p\n",
        "fare_products": PRODUCTS + "p,,1.00,EUR\nq,,2.00,EUR\nr,,4.00,EUR\ns,,0.50,EUR\n",
    },
    "times": ONE_ROUTE
    | {
        "stops": PLATFORMS.replace("zone_id\n", "zone_id,stop_timezone\n").replace(
            "d,D,1,,\n", "d,D,1,,,Europe/Lisbon\n"
        ),
        "calendar": CALENDAR,
        "calendar_dates": DATES,
        "timeframes": "timeframe_group_id,start_time,end_time,service_id\n"
        "peak,06:30:00,9:00:00,work\npeak,16:00:00,19:00:00,work\n"
        "late,20:00:00,24:00:00,work\nlate,,,end\n",
        "fare_leg_rules": "from_timeframe_group_id,to_timeframe_group_id,fare_product_id,"
        "rule_priority\n,,plain,\npeak,,peak,2\n,late,late,1\n",
        "fare_products": PRODUCTS + "plain,,2.00,EUR\npeak,,3.00,EUR\nlate,,1.00,EUR\n",
    },
    "one end's time": ONE_ROUTE
    | {
        "calendar": CALENDAR,
        "timeframes": "timeframe_group_id,start_time,end_time,service_id\n"
        "peak,06:30:00,09:00:00,work\n",
        "fare_leg_rules": "to_timeframe_group_id,fare_product_id\n,plain\npeak,early\n",
        "fare_products": PRODUCTS + "plain,,2.00,EUR\nearly,,1.50,EUR\n",
    },
    "one network": CHAIN
    | {
        "stop_areas": IN_AND_OUT,
        "fare_leg_rules": "network_id,from_area_id,to_area_id,fare_product_id\n"
        "metro,in,far,p\nmetro,,,q\nbus,,,r\n",
        "fare_products": PRODUCTS + "p,,3.00,EUR\nq,,1.00,EUR\nr,,0.70,EUR\n",
    },
    "joins": CHAIN
    | {
        "fare_leg_join_rules": "from_network_id,to_network_id,from_stop_id,to_stop_id\n"
        "metro,metro,,\nmetro,bus,d,f\n",
        "fare_leg_rules": "network_id,fare_product_id,rule_priority\nmetro,p,1\nbus,r,1\n,any,0\n",
        "fare_products": PRODUCTS + "p,,1.00,EUR\nr,,0.70,EUR\nany,,5.00,EUR\n",
    },
    "joins at a stop": CHAIN
    | {
        "fare_leg_join_rules": "from_network_id,to_network_id,from_stop_id,to_stop_id\n"
        "metro,metro,b,c\n",
        "fare_leg_rules": "network_id,fare_product_id\nmetro,p\nbus,r\n",
        "fare_products": PRODUCTS + "p,,1.00,EUR\nr,,0.70,EUR\n",
    },
    "riders": ONE_ROUTE
    | {
        "rider_categories": RIDERS,
        "stop_areas": "area_id,stop_id\nin,a\nin,b\nout,c\nout,d\n",
        "fare_leg_rules": "from_area_id,to_area_id,fare_product_id\nin,out,p\nout,in,q\nin,in,s\n",
        "fare_products": PRODUCTS + "p,adult,2.00,EUR\np,child,1.00,EUR\nq,adult,3.00,EUR\n"
        "q,,3.50,EUR\ns,senior,0.80,EUR\n",
    },
    "priorities": ONE_ROUTE
    | {
        "stop_areas": "area_id,stop_id\nin,a\nin,b\nout,c\n",
        "fare_leg_rules": "network_id,from_area_id,to_area_id,fare_product_id,rule_priority\n"
        ",,,base,\n,in,in,high,5\nrail,out,,mid,3\n",
        "fare_products": PRODUCTS + "base,,1.00,EUR\nhigh,,3.00,EUR\nmid,,2.00,EUR\n",
    },
}

_LEGS = "leg_group_id,network_id,from_area_id,to_area_id,fare_product_id\n"
_METRO_AND_BUS = CHAIN | {
    "stop_areas": IN_AND_OUT,
    "rider_categories": RIDERS,
    "fare_leg_rules": _LEGS + "core,metro,in,out,m\ncore,metro,out,in,m\ncore,metro,in,in,m\n"
    "far,metro,out,far,l\nfar,metro,far,out,l\nfar,metro,in,far,l\nfar,metro,far,in,l\n"
    "bus,bus,far,far,b\n",
    "fare_products": PRODUCTS + "m,adult,2.00,EUR\nm,child,1.00,EUR\nl,,3.50,EUR\n"
    "b,adult,1.80,EUR\nb,child,0.90,EUR\nup,adult,1.50,EUR\nup,child,0.75,EUR\noff,,-1.20,EUR\nday,,2.50,EUR\n",
}
TRANSFERS = (
    "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,"
    "fare_transfer_type,fare_product_id\n"
)
# Feeds in which a ride may cost less after another one.
JOURNEYS: dict[str, dict[str, str]] = {
    "free within 90 minutes": _METRO_AND_BUS
    | {"fare_transfer_rules": TRANSFERS + "core,core,2,5400,1,0,\nbus,core,,5400,1,0,up\n"},
    "the sum less a discount": _METRO_AND_BUS
    | {"fare_transfer_rules": TRANSFERS + "core,bus,,3600,2,1,off\nbus,bus,-1,7200,0,1,off\n"},
    "one price for both": _METRO_AND_BUS
    | {"fare_transfer_rules": TRANSFERS + "core,far,,7200,3,2,day\nfar,core,,7200,0,2,day\n"},
    "groups that no rule names": _METRO_AND_BUS
    | {"fare_transfer_rules": TRANSFERS + "core,,,3600,1,0,up\n,core,,3600,1,0,\n,,,1800,2,0,\n"},
    "two limits": _METRO_AND_BUS
    | {
        "fare_transfer_rules": TRANSFERS
        + "core,core,1,3600,1,0,\ncore,core,1,7200,1,0,up\ncore,core,3,7200,1,1,off\n"
        "bus,bus,-1,,,0,\n"
    },
    "metro and bus by turns": _METRO_AND_BUS
    | {
        "fare_transfer_rules": TRANSFERS
        + "core,bus,,,,2,day\nbus,core,,,,0,\nbus,far,,5400,3,1,off\n"
    },
}


def write_tables(folder: Path, tables: dict[str, str]) -> Path:
    """Write a feed of these tables alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, text in tables.items():
        (folder / f"{table}.txt").write_text(text, encoding="utf-8")
    return folder
