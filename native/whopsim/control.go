package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// control adds the routes under /sim/, which change and show the simulator's
// state. They need no API key and send JSON. They send no CORS headers, because
// they are not for pages.
func (s *simulator) control(mux *http.ServeMux) {
	mux.HandleFunc("POST /sim/memberships", s.create)
	mux.HandleFunc("GET /sim/memberships", s.showAll)
	mux.HandleFunc("GET /sim/memberships/{key}", s.show)
	mux.HandleFunc("POST /sim/memberships/{key}", func(w http.ResponseWriter, r *http.Request) {
		fields, ok := controlBody(w, r)
		if !ok {
			return
		}
		if _, ok := fields["license_key"]; ok {
			problem(w, http.StatusBadRequest, "license_key: can't be changed; POST /sim/remake/{key} gives a new one")
			return
		}
		if _, ok := fields["id"]; ok {
			problem(w, http.StatusBadRequest, "id: can't be changed")
			return
		}
		s.change(w, r, fields)
	})
	fixed := func(pattern, patch string) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(patch), &fields); err != nil {
			panic(err)
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.change(w, r, fields) })
	}
	fixed("POST /sim/reset/{key}", `{"metadata":{}}`)
	fixed("POST /sim/cancel/{key}", `{"status":"canceled","valid":null}`)
	mux.HandleFunc("POST /sim/remake/{key}", s.remake)
	mux.HandleFunc("POST /sim/webhook/{key}", s.webhook)
	mux.HandleFunc("POST /sim/outage", s.setOutage)
	mux.HandleFunc("POST /sim/api-key", s.setAPIKey)
	mux.HandleFunc("POST /sim/latency", s.setLatency)
	mux.HandleFunc("GET /sim/stats", func(w http.ResponseWriter, _ *http.Request) { replyBytes(w, http.StatusOK, s.journal.summary()) })
	mux.HandleFunc("GET /sim/requests", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.journal.requests()) })
	mux.HandleFunc("DELETE /sim/requests", func(w http.ResponseWriter, _ *http.Request) {
		s.journal.clear()
		w.WriteHeader(http.StatusNoContent)
	})
}

func (s *simulator) create(w http.ResponseWriter, r *http.Request) {
	fields, ok := controlBody(w, r)
	if !ok {
		return
	}
	m, err := newMembership(fields)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	err = s.store.add(&m)
	state := m.fields()
	s.mu.Unlock()
	if err != nil {
		problem(w, http.StatusConflict, err.Error())
		return
	}
	reply(w, http.StatusCreated, state)
}

func (s *simulator) showAll(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	list := make([]map[string]any, 0, len(s.store.list))
	for _, m := range s.store.list {
		list = append(list, m.fields())
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, list)
}

// with calls use with the membership, under the lock, or answers with a 404 if there is
// none.
func (s *simulator) with(w http.ResponseWriter, r *http.Request, use func(*membership)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.store.find(r.PathValue("key"))
	if m == nil {
		problem(w, http.StatusNotFound, fmt.Sprintf("no membership has the license key or id %q", r.PathValue("key")))
		return false
	}
	use(m)
	return true
}

func (s *simulator) show(w http.ResponseWriter, r *http.Request) {
	var state map[string]any
	if s.with(w, r, func(m *membership) { state = m.fields() }) {
		reply(w, http.StatusOK, state)
	}
}

// change sets fields, sends the resulting webhooks, and answers with the new
// state and the webhooks' results.
func (s *simulator) change(w http.ResponseWriter, r *http.Request, fields map[string]json.RawMessage) {
	var before, after membership
	var err error
	found := s.with(w, r, func(m *membership) {
		before = *m
		err = m.set(fields)
		if _, ok := fields["metadata"]; ok && err == nil {
			m.previous, m.written = nil, false
		}
		after = *m
	})
	if !found {
		return
	}
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	deliveries := []delivery{}
	if s.webhooks.url != "" {
		for _, kind := range hooksFor(&before, &after) {
			deliveries = append(deliveries, s.webhooks.send(s.webhooks.compose(kind, "", time.Time{}, "", &after), true))
		}
	}
	reply(w, http.StatusOK, map[string]any{"membership": after.fields(), "webhooks": deliveries})
}

func (s *simulator) remake(w http.ResponseWriter, r *http.Request) {
	var id, key string
	if s.with(w, r, func(m *membership) {
		s.store.remake(m)
		id, key = m.id, m.licenseKey
	}) {
		reply(w, http.StatusOK, map[string]any{"id": id, "license_key": key})
	}
}

// webhook sends one message once, whatever the state is. A request can set its id and
// time, so that tests can repeat, reorder and age messages.
func (s *simulator) webhook(w http.ResponseWriter, r *http.Request) {
	var kind, id, date string
	var at *int64
	if !controlFields(w, r, map[string]reader{
		"type":      oneOf(&kind, []string{hookActivated, hookDeactivated, hookCancelAtEnd, hookUpdated}),
		"id":        header(&id),
		"timestamp": unixTime(&at),
		"version":   oneOf(&date, versionDates()),
	}, "type") {
		return
	}
	if s.webhooks.url == "" {
		problem(w, http.StatusConflict, "no --webhook-url is set")
		return
	}
	var m membership
	if !s.with(w, r, func(found *membership) { m = *found }) {
		return
	}
	var when time.Time
	if at != nil {
		when = time.Unix(*at, 0)
	}
	reply(w, http.StatusOK, s.webhooks.send(s.webhooks.compose(kind, id, when, date, &m), false))
}

// outageKinds are the faults that need no membership.
func outageKinds() []string {
	return slices.DeleteFunc(faultNames(), func(name string) bool {
		f := faults[name]
		return f.instead == nil || f.on != nil || strings.HasPrefix(name, "random")
	})
}

func (s *simulator) setOutage(w http.ResponseWriter, r *http.Request) {
	on, kind := false, "503"
	if !controlFields(w, r, map[string]reader{
		"on": boolean(&on), "kind": oneOf(&kind, outageKinds()),
	}, "on") {
		return
	}
	if !on {
		kind = ""
	}
	s.mu.Lock()
	s.outage = kind
	s.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{"on": on, "kind": kind})
}

// setAPIKey sets the version of the API key, as its owner can at Whop.
func (s *simulator) setAPIKey(w http.ResponseWriter, r *http.Request) {
	var date string
	if !controlFields(w, r, map[string]reader{"version": oneOf(&date, versionDates())}, "version") {
		return
	}
	s.mu.Lock()
	s.keyVersion = date
	s.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{"version": date})
}

func (s *simulator) setLatency(w http.ResponseWriter, r *http.Request) {
	var latency, jitter time.Duration
	if !controlFields(w, r, map[string]reader{"latency": duration(&latency), "jitter": duration(&jitter)}, "latency") {
		return
	}
	if err := validateLatency(latency, jitter); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	s.latency, s.jitter = latency, jitter
	s.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{"latency": latency.String(), "jitter": jitter.String()})
}

// controlBody reads a control request's JSON object.
func controlBody(w http.ResponseWriter, r *http.Request) (map[string]json.RawMessage, bool) {
	data, err := readBody(w, r)
	if err != nil {
		problem(w, http.StatusBadRequest, "the body could not be read: "+err.Error())
		return nil, false
	}
	fields, err := object(data)
	if err != nil {
		problem(w, http.StatusBadRequest, "the body is "+err.Error())
		return nil, false
	}
	return fields, true
}

// controlFields reads the members of a control request's object.
func controlFields(w http.ResponseWriter, r *http.Request, readers map[string]reader, required string) bool {
	fields, ok := controlBody(w, r)
	if !ok {
		return false
	}
	if _, ok := fields[required]; !ok {
		problem(w, http.StatusBadRequest, required+": missing")
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		read, ok := readers[name]
		if !ok {
			problem(w, http.StatusBadRequest, name+": unknown field")
			return false
		}
		if err := read(fields[name]); err != nil {
			problem(w, http.StatusBadRequest, name+": "+err.Error())
			return false
		}
	}
	return true
}

func problem(w http.ResponseWriter, status int, message string) {
	reply(w, status, map[string]any{"error": message})
}

func reply(w http.ResponseWriter, status int, v any) { replyBytes(w, status, encode(v)) }

func replyBytes(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
