"""The register: the cashier scans goods; the rest is the checkout's (mission row B1)."""

from __future__ import annotations

from edge_agents.counter import screens
from edge_agents.counter.checkout import Checkout, CheckoutParts
from edge_agents.payment_request import PendingPayment
from edge_agents.register.bar_code import read_code
from edge_agents.register.basket import Basket, BasketFull
from edge_agents.register.price_list import PriceList
from edge_agents.register.selling import NotSold, goods_of
from kessai.v1.payment_pb2 import PaymentRequest

_SHOWN_CODE = 40


class Register(Checkout[Basket]):
    """A checkout whose lines are bar codes of goods."""

    def __init__(self, parts: CheckoutParts, prices: PriceList) -> None:
        self._prices = prices
        super().__init__(parts)
        self._keys["%REMOVE"] = self._on_remove

    def _empty_basket(self) -> Basket:
        return Basket(self._prices.currency)

    def _basket_of(self, request: PaymentRequest) -> Basket:
        return Basket.of_request(request)

    def _make_request(self, order_id: str, basket: Basket) -> PendingPayment:
        return self._parts.requests.make(order_id, basket.items(), basket.total)

    def _on_text(self, line: str) -> None:
        scan = read_code(line)
        if scan is None:
            self._refuse("code_unreadable", "Not a bar code", code=line[:_SHOWN_CODE])
            return
        try:
            goods = goods_of(scan, self._prices)
        except NotSold as why:
            self._refuse(why.event, str(why), gtin=why.gtin, why=str(why))
            return
        basket = self._open_basket("a scan")
        if basket is None:
            return
        try:
            basket.add(goods)
        except BasketFull:
            self._refuse("basket_full", "Basket full: PAY now", gtin=goods.gtin)
            return
        self._events.emit("item_scanned", gtin=goods.gtin, total_minor=basket.total.minor)
        self._board.show(screens.line(goods.description, goods.price.decimal(), basket.total))

    def _on_remove(self) -> None:
        basket = self._open_basket("%REMOVE")
        if basket is None:
            return
        goods = basket.remove_last()
        if goods is None:
            self._refuse("key_refused", "Nothing to remove", key="%REMOVE")
            return
        self._events.emit("item_removed", gtin=goods.gtin, total_minor=basket.total.minor)
        amount = f"-{goods.price.decimal()}"
        self._board.show(screens.line(goods.description, amount, basket.total))
