package whop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// Product is a product that a seller sells on Whop.
type Product struct {
	ID      string
	Title   string
	Account string // the id of the account that sells it; empty if Whop didn't say
}

const (
	opProducts operation = "list_products"

	// productsPerPage is the most that Whop lists at once.
	productsPerPage = 100
	// maxProductPages bounds how much of a long list is read.
	maxProductPages = 10
)

// Product returns one product, which Whop shows to every API key. The error is a
// [*Failure], or nil with a nil product if Whop has no such product.
func (w *Client) Product(ctx context.Context, id string) (*Product, error) {
	body, err := w.read(ctx, "/products/"+url.PathEscape(id), nil)
	if vague(err) != nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := parseProduct(body)
	if err != nil {
		return nil, newFailure(badAnswer, err)
	}
	return &p, nil
}

// Products returns the id of the API key's account and the account's products, at
// most 1,000 of them. The error is a [*Failure]. Whop wants the permission
// access_pass:basic:read of the API key, which nothing else here needs.
func (w *Client) Products(ctx context.Context) (account string, list []Product, err error) {
	account, err = w.account(ctx)
	if err != nil {
		return "", nil, err
	}
	err = w.list(ctx, "/products", account, productsPerPage, maxProductPages, func(raw jsontext.Value) (more bool, err error) {
		p, err := parseProduct(raw)
		list = append(list, p)
		return true, err
	})
	if err != nil {
		return account, nil, err
	}
	return account, list, nil
}

// account returns the id of the API key's account.
func (w *Client) account(ctx context.Context) (string, error) {
	body, err := w.read(ctx, "/accounts/me", nil)
	if err != nil {
		return "", err
	}
	me, err := readMembers(body, "id")
	if err != nil {
		return "", newFailure(badAnswer, err)
	}
	id, ok := readReference(me["id"])
	if !ok {
		return "", newFailure(badAnswer, unusable("id", me["id"]))
	}
	return id, nil
}

// list hands what an account has to a function, until it wants no more or this many
// pages were read. Its error is a [*Failure].
func (w *Client) list(ctx context.Context, path, account string, perPage, pages int, each func(jsontext.Value) (more bool, err error)) error {
	query := url.Values{"first": {strconv.Itoa(perPage)}, "account_id": {account}}
	for range pages {
		body, err := w.read(ctx, path, query)
		var f *Failure
		if errors.As(err, &f) && f.Kind == badRequest && query.Has("account_id") { // as versions before mid-2026 answer
			query.Del("account_id")
			query.Set("company_id", account)
			body, err = w.read(ctx, path, query)
		}
		if err != nil {
			return err
		}
		var page struct {
			Data     []jsontext.Value `json:"data"`
			PageInfo struct {
				HasNextPage bool   `json:"has_next_page"`
				EndCursor   string `json:"end_cursor"`
			} `json:"page_info"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return newFailure(badAnswer, errors.New("not a list"))
		}
		for _, raw := range page.Data {
			if more, err := each(raw); err != nil {
				return newFailure(badAnswer, err)
			} else if !more {
				return nil
			}
		}
		if !page.PageInfo.HasNextPage || page.PageInfo.EndCursor == "" {
			return nil
		}
		query.Set("after", page.PageInfo.EndCursor)
	}
	return nil
}

func parseProduct(raw []byte) (Product, error) {
	m, err := readMembers(raw, "id", "title", "account", "company")
	if err != nil {
		return Product{}, fmt.Errorf("a product is %w", err)
	}
	id, ok := readReference(m["id"])
	if !ok {
		return Product{}, unusable("id", m["id"])
	}
	p := Product{ID: id}
	p.Title, _ = readText(m["title"].raw)
	for _, name := range []string{"account", "company"} {
		if account, ok := readReference(m[name]); ok {
			p.Account = account
		}
	}
	return p, nil
}

// read makes one call that changes nothing and returns the body of its answer, or
// a [*Failure].
func (w *Client) read(ctx context.Context, path string, query url.Values) ([]byte, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(w.base + path)
	req.URI().SetQueryString(query.Encode())
	if err := w.send(ctx, req, resp); err != nil {
		return nil, err
	}
	if resp.StatusCode() == http.StatusOK {
		return bytes.Clone(resp.Body()), nil
	}
	err := readFailure(resp.StatusCode(), string(resp.Header.Peek("Retry-After")), resp.Body(), w.secrets...)
	if errors.Is(err, check.ErrUnknown) {
		err = newFailure(otherNotFound, errors.New("status 404"))
	}
	var f *Failure
	if errors.As(err, &f) {
		f.op = opProducts
	}
	return nil, err
}
