//go:build linux

// Command bench holds the gateway to its budgets: requests per second against a
// plain Node proxy that makes the same calls to Whop, memory, and connections
// held. It prints a table and ends with 1 where a budget is missed.
//
// All programs share this machine's cores with each other, with the load and
// with what answers in Whop's place, so the numbers are worth something only
// beside each other. Node's one thread leaves the others a core of their own,
// while the gateway would use all there are: of two cores the load and the
// stand-in take about a third. So what two cores do for it is taken from the CPU
// time that its requests cost under that load, and the proxy's, which has all
// that it can use, from the clock. What the clock says of both is shown beside
// it. The budgets are held with a stand-in for Whop that costs little; the
// simulator costs about as much as the gateway.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"text/tabwriter"
	"time"
)

// rounds is how often each program is measured. The best round counts: what else
// the machine does can only make a round worse.
const rounds = 5

func main() {
	period := flag.Duration("period", 1200*time.Millisecond, "how long each load lasts; there are 36")
	flag.Parse()
	// The load and the stand-in are to cost as little as they can beside what is
	// measured.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	b := &bench{period: *period}
	err := b.run()
	if err == nil {
		b.print()
		printDay(os.Stdout)
	}
	b.cleanUp()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if b.missed {
		os.Exit(1)
	}
}

// row is one line of the table. A budget of 0 is none.
type row struct {
	what           string
	gateway, proxy string
	ratio, budget  float64
	atMost         bool
}

func (r row) pass() bool {
	return r.budget == 0 || r.atMost && r.ratio <= r.budget || !r.atMost && r.ratio >= r.budget
}

type bench struct {
	period time.Duration
	dir    string
	rows   []row
	notes  []string
	missed bool
}

func (b *bench) run() error {
	if err := b.build(); err != nil {
		return err
	}
	whop, err := newStandIn()
	if err != nil {
		return err
	}
	defer whop.stop()
	sim, err := b.startSimulator()
	if err != nil {
		return err
	}
	defer sim.stop()

	var servers []*program
	defer func() {
		for _, p := range servers {
			p.stop()
		}
	}()
	begin := func(p *program, startErr error) *program {
		if startErr != nil {
			err = startErr
			return nil
		}
		servers = append(servers, p)
		return p
	}
	proxy2 := begin(b.startProxy(whop.url(), "2"))
	uncached := begin(b.startGateway(whop.url(), "--cache-ttl", "0"))
	proxy1 := begin(b.startProxy(whop.url(), "1"))
	cached := begin(b.startGateway(whop.url(), "--trusted-proxies", "127.0.0.1"))
	simProxy := begin(b.startProxy(sim.url, "2"))
	simUncached := begin(b.startGateway(sim.url, "--cache-ttl", "0"))
	if err != nil {
		return err
	}
	rest, nodeRest := uncached.memory(), proxy2.memory()
	if err := measure(servers, b.period); err != nil {
		return err
	}
	b.compare("not cached, requests a second on two cores of its own, by CPU time; two calls", "/s", uncached.onCores(2), proxy2.perSecond, 3, false)
	b.compare("not cached, requests a second on what the load leaves; the proxy makes two calls to Whop", "/s", uncached.perSecond, proxy2.perSecond, 0, false)
	b.compare("not cached, requests a second; the proxy makes one call, as the gateway", "/s", uncached.perSecond, proxy1.perSecond, 0, false)
	b.compare("not cached, requests a second; two calls, the simulator behind", "/s", simUncached.perSecond, simProxy.perSecond, 0, false)
	b.compare("cached, requests a second on what the load leaves; two calls", "/s", cached.perSecond, proxy2.perSecond, 3, false)
	b.compare("not cached, 99 % are answered within; two calls", "ms", uncached.p99, proxy2.p99, 0, true)
	b.compare("cached, 99 % are answered within; two calls", "ms", cached.p99, proxy2.p99, 0, true)
	b.compare("not cached, CPU time a request; two calls", "µs", uncached.cpuEach, proxy2.cpuEach, 0, true)
	b.compare("memory at rest", "MB", rest, nodeRest, 1, true)
	b.compare("memory under load, its peak", "MB", uncached.peakMemory(), proxy2.peakMemory(), 1, true)

	held, err := hold(cached, 10_000)
	if err != nil {
		return err
	}
	b.rows = append(b.rows, row{"keep-alive connections held, each answered twice", fmt.Sprint(held), "of 10000", float64(held) / 10_000, 1, false})
	b.notes = append(b.notes, fmt.Sprintf("With these connections the gateway takes %.0f MB.", cached.memory()))
	return b.besiege(whop.url())
}

// measure loads the servers in turn, so that what else the machine does hits all
// alike, and keeps the best of each.
func measure(servers []*program, period time.Duration) error {
	for round := range rounds + 1 {
		for _, p := range servers {
			cpu := p.cpu()
			l, err := drive(p.addr(), connections, period, request)
			if err != nil {
				return err
			}
			if round == 0 { // warms up, and fills the cache
				continue
			}
			each := (p.cpu() - cpu).Seconds() * 1e6 / float64(l.requests)
			if round == 1 {
				p.p99, p.cpuEach = l.p99.Seconds()*1e3, each
			}
			p.perSecond = max(p.perSecond, l.perSecond)
			p.p99 = min(p.p99, l.p99.Seconds()*1e3)
			p.cpuEach = min(p.cpuEach, each)
		}
	}
	return nil
}

func (b *bench) compare(what, unit string, gateway, proxy, budget float64, atMost bool) {
	b.rows = append(b.rows, row{what, fmt.Sprintf("%.0f %s", gateway, unit), fmt.Sprintf("%.0f %s", proxy, unit), gateway / proxy, budget, atMost})
}

func (b *bench) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tgateway\tNode proxy\tratio\tbudget\tresult")
	for _, r := range b.rows {
		budget, result := "none", ""
		if r.budget != 0 {
			sign := "≥"
			if r.atMost {
				sign = "≤"
			}
			budget, result = fmt.Sprintf("%s %.2f ×", sign, r.budget), "pass"
			if !r.pass() {
				result, b.missed = "FAIL", true
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2f ×\t%s\t%s\n", r.what, r.gateway, r.proxy, r.ratio, budget, result)
	}
	_ = w.Flush()
	for _, n := range b.notes {
		fmt.Println(n)
	}
}
