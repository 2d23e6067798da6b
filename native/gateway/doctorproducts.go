package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whop-license/whop-license/native/gateway/internal/whop"
)

// maxNamed is how many products one line lists.
const maxNamed = 20

// tryProducts looks each --product up and lists the account's other products. A
// failed look-up is only a note, because checks don't need it.
func (d *doctor) tryProducts(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	account, sold, err := d.whop.Products(ctx)
	for _, id := range d.settings.Product {
		d.tryProduct(ctx, id, account, sold)
	}
	if err != nil {
		d.say("note", "products", "can't list the account's other products, which doesn't affect checks: %s", whop.Advice(err))
		return
	}
	others := slices.DeleteFunc(sold, func(p whop.Product) bool { return slices.Contains(d.settings.Product, p.ID) })
	if len(others) > 0 {
		d.say("note", "products", "%s also sells %s; the gateway refuses their licenses unless --product lists them", account, nameProducts(others))
	}
}

func (d *doctor) tryProduct(ctx context.Context, id, account string, sold []whop.Product) {
	if i := slices.IndexFunc(sold, func(p whop.Product) bool { return p.ID == id }); i >= 0 {
		d.good("product", "licenses of %s are accepted", nameProduct(sold[i]))
		return
	}
	// Whop may leave archived products out of its list.
	p, err := d.whop.Product(ctx, id)
	switch {
	case err != nil:
		d.say("note", "product", "can't look up %s: %s", id, whop.Advice(err))
	case p == nil && len(sold) > 0:
		d.bad("product", "Whop has no product %s; %s sells %s: set --product to one of those", id, account, nameProducts(sold))
	case p == nil:
		d.bad("product", "Whop has no product %s; set --product to an id from the Whop dashboard", id)
	case account != "" && p.Account != "" && p.Account != account:
		d.bad("product", "%s belongs to the account %s, but the API key to %s: set --product to a product of %s", nameProduct(*p), p.Account, account, account)
	default:
		d.good("product", "licenses of %s are accepted", nameProduct(*p))
	}
}

func nameProduct(p whop.Product) string {
	if p.Title == "" {
		return p.ID
	}
	return fmt.Sprintf("%s (%.80q)", p.ID, p.Title)
}

func nameProducts(list []whop.Product) string {
	var names []string
	for _, p := range list[:min(len(list), maxNamed)] {
		names = append(names, nameProduct(p))
	}
	if more := len(list) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
