package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

const products = `[
	{"license_key": "K1", "product": "prod_1", "product_title": "One"},
	{"license_key": "K2", "product": "prod_1", "product_title": "One"},
	{"license_key": "K3", "product": "prod_2"},
	{"license_key": "K4", "product": "prod_3", "company": "biz_2"}
]`

func TestProductsOfTheAccount(t *testing.T) {
	sim := start(t, products, "--permissions", permProductsRead)
	get := func(path, version string) observation {
		return sim.bare("GET", "/api/v1"+path, "", "Authorization: Bearer "+testKey, "Api-Version-Date: "+version)
	}
	ids := func(o observation) []any {
		list := []any{}
		for _, p := range o.json(t)["data"].([]any) {
			list = append(list, p.(map[string]any)["id"])
		}
		return list
	}
	assert.Equal(t, "biz_sim", get("/accounts/me", legacyVersion).json(t)["id"])
	for version, owner := range map[string]string{legacyVersion: "company", latestVersion(): "account"} {
		all := get("/products?"+owner+"_id=biz_sim", version)
		assert.Equal(t, []any{"prod_1", "prod_2", "prod_sim"}, ids(all))
		assert.Equal(t, map[string]any{"has_next_page": false, "end_cursor": "prod_sim"}, all.json(t)["page_info"])
		page := get("/products?first=2&"+owner+"_id=biz_sim", version)
		assert.Equal(t, []any{"prod_1", "prod_2"}, ids(page))
		assert.Equal(t, map[string]any{"has_next_page": true, "end_cursor": "prod_2"}, page.json(t)["page_info"])
		assert.Equal(t, []any{"prod_sim"}, ids(get("/products?first=2&after=prod_2&"+owner+"_id=biz_sim", version)))
		assert.Equal(t, 400, get("/products", version).status)
		assert.Equal(t, 400, get("/products?first=101&"+owner+"_id=biz_sim", version).status)
		assert.Equal(t, 403, get("/products?"+owner+"_id=biz_2", version).status)
		assert.Equal(t, "biz_2", get("/products/prod_3", version).json(t)[owner].(map[string]any)["id"])
	}
	assert.Equal(t, "No such Product found with the provided ID: prod_9", get("/products/prod_9", legacyVersion).message(t))
	assert.Equal(t, 400, get("/products/prod_1", "2020-01-01").status)

	plain := start(t, products)
	for path, status := range map[string]int{"/accounts/me": 200, "/products/prod_1": 200, "/products?account_id=biz_sim": 403} {
		assert.Equal(t, status, plain.bare("GET", "/api/v1"+path, "", "Authorization: Bearer "+testKey).status, path)
		assert.Equal(t, 401, plain.bare("GET", "/api/v1"+path, "").status, path)
	}
}
