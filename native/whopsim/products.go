package main

import (
	"net/http"
	"slices"
	"strconv"
)

// account is the business account that the API key belongs to.
func (s *simulator) account(c *exchange) answer {
	if _, a, ok := s.begin(c); !ok {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return answer{status: http.StatusOK, body: encode(map[string]any{"id": s.company(), "title": "Simulated", "status": "approved"})}
}

// listProducts lists what the memberships of the account are of, in the order in
// which they came.
func (s *simulator) listProducts(c *exchange) answer {
	owner, a, ok := s.begin(c)
	if !ok {
		return a
	}
	query := c.r.URL.Query()
	parameter := owner + "_id"
	first := 100
	if text := query.Get("first"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return apiError(c.op, http.StatusBadRequest, "invalid_request", "first must be from 1 to 100")
		}
		first = n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch query.Get(parameter) {
	case "":
		return apiError(c.op, http.StatusBadRequest, "invalid_request", parameter+" is required")
	case s.company():
	default:
		return apiError(c.op, http.StatusForbidden, "forbidden", "The API key belongs to another account")
	}
	list := s.products(s.company(), owner)
	if after := query.Get("after"); after != "" {
		i := slices.IndexFunc(list, func(p map[string]any) bool { return p["id"] == after })
		list = list[i+1:]
	}
	info := map[string]any{"has_next_page": len(list) > first, "end_cursor": nil}
	list = list[:min(first, len(list))]
	if len(list) > 0 {
		info["end_cursor"] = list[len(list)-1]["id"]
	}
	return answer{status: http.StatusOK, body: encode(map[string]any{"data": list, "page_info": info})}
}

// product is one product of any account.
func (s *simulator) product(c *exchange) answer {
	owner, a, ok := s.begin(c)
	if !ok {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.products("", owner) {
		if p["id"] == c.key() {
			return answer{status: http.StatusOK, body: encode(p)}
		}
	}
	return apiError(c.op, http.StatusNotFound, "not_found", "No such Product found with the provided ID: "+c.key())
}

// begin admits the request, and tells what its version calls the owner of a
// product.
func (s *simulator) begin(c *exchange) (owner string, a answer, ok bool) {
	if a, ok := s.admit(c); !ok {
		return "", a, false
	}
	v, err := s.versionFor(c)
	if err != nil {
		return "", apiError(c.op, http.StatusBadRequest, "invalid_request", err.Error()), false
	}
	if v.date == legacyVersion {
		return "company", answer{}, true
	}
	return "account", answer{}, true
}

// company is that of the first membership. The caller holds the lock.
func (s *simulator) company() string {
	if len(s.store.list) == 0 {
		return defaultCompany
	}
	return s.store.list[0].company
}

// products are those of one company, or of all: what memberships are of, and the
// one that is the default. The caller holds the lock.
func (s *simulator) products(company, owner string) []map[string]any {
	list, seen := []map[string]any{}, map[string]bool{}
	for _, m := range append(slices.Clone(s.store.list), &membership{product: defaultProduct, productTitle: "Simulated product", company: defaultCompany, companyTitle: "Simulated company"}) {
		if seen[m.product] || company != "" && m.company != company {
			continue
		}
		seen[m.product] = true
		list = append(list, map[string]any{
			"id": m.product, "title": m.productTitle, "visibility": "visible", "route": "r-" + m.product,
			owner: map[string]any{"id": m.company, "title": m.companyTitle},
		})
	}
	return list
}
