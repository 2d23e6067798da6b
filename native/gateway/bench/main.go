// Command bench holds the gateway to its budgets: requests per second against a
// plain Node proxy that makes the same calls to Whop, memory, and connections
// held. It prints a table and ends with 1 where a budget is missed.
//
// All programs share this machine's cores with each other and with the load, so
// the numbers are worth something only beside each other. The simulator and the
// load take a good part of what the gateway could use; Node's one thread leaves
// them a core of their own. The ratios are therefore lower than the gateway
// alone would reach.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

const rounds = 3

func main() {
	period := flag.Duration("period", 2*time.Second, "how long each load lasts; there are 15")
	flag.Parse()
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
	sim, err := b.startSimulator()
	if err != nil {
		return err
	}
	defer sim.stop()
	proxy2, err := b.startProxy(sim, "2")
	if err != nil {
		return err
	}
	defer proxy2.stop()
	proxy1, err := b.startProxy(sim, "1")
	if err != nil {
		return err
	}
	defer proxy1.stop()
	uncached, err := b.startGateway(sim, "--cache-ttl", "0")
	if err != nil {
		return err
	}
	defer uncached.stop()
	cached, err := b.startGateway(sim)
	if err != nil {
		return err
	}
	defer cached.stop()

	rest, nodeRest := uncached.memory(), proxy2.memory()
	servers := []*program{proxy2, uncached, proxy1, cached}
	loads := map[*program][]load{}
	for _, p := range servers { // warms up, and fills the cache
		if _, err := drive(p.addr(), connections, b.period/2, request); err != nil {
			return err
		}
	}
	for range rounds { // in turn, so that what else the machine does hits all alike
		for _, p := range servers {
			before, simBefore := p.cpu(), sim.cpu()
			l, err := drive(p.addr(), connections, b.period, request)
			if err != nil {
				return err
			}
			l.cpu, l.simCPU = p.cpu()-before, sim.cpu()-simBefore
			loads[p] = append(loads[p], l)
		}
	}
	perSecond := func(p *program) float64 { return median(loads[p], func(l load) float64 { return l.perSecond }) }
	p99 := func(p *program) float64 {
		return median(loads[p], func(l load) float64 { return l.p99.Seconds() * 1000 })
	}
	cpu := func(p *program) float64 {
		return median(loads[p], func(l load) float64 { return l.cpu.Seconds() * 1e6 / float64(l.requests) })
	}
	compare := func(what, unit string, gateway, proxy, budget float64, atMost bool) {
		b.rows = append(b.rows, row{what, fmt.Sprintf("%.0f %s", gateway, unit), fmt.Sprintf("%.0f %s", proxy, unit), gateway / proxy, budget, atMost})
	}
	fine := func(what string, gateway, proxy float64) {
		b.rows = append(b.rows, row{what, fmt.Sprintf("%.1f ms", gateway), fmt.Sprintf("%.1f ms", proxy), gateway / proxy, 0, true})
	}
	compare("not cached: requests per second, proxy makes two calls", "/s", perSecond(uncached), perSecond(proxy2), 3, false)
	compare("not cached: requests per second, proxy makes one call", "/s", perSecond(uncached), perSecond(proxy1), 0, false)
	fine("not cached: p99, proxy makes two calls", p99(uncached), p99(proxy2))
	compare("not cached: CPU a request, proxy makes two calls", "µs", cpu(uncached), cpu(proxy2), 0, true)
	compare("cached: requests per second, proxy makes two calls", "/s", perSecond(cached), perSecond(proxy2), 3, false)
	fine("cached: p99, proxy makes two calls", p99(cached), p99(proxy2))
	compare("memory at rest", "MB", rest, nodeRest, 1, true)
	compare("memory under load, its peak", "MB", uncached.peakMemory(), proxy2.peakMemory(), 1, true)
	share := median(loads[uncached], func(l load) float64 { return l.simCPU.Seconds() / (l.simCPU + l.cpu).Seconds() * 100 })
	b.notes = append(b.notes, fmt.Sprintf("While nothing was cached, %.0f %% of the CPU time of simulator and gateway together was the simulator's.", share))

	held, err := hold(cached, 10_000)
	if err != nil {
		return err
	}
	b.rows = append(b.rows, row{"keep-alive connections held and answered twice", fmt.Sprint(held), "10000 asked", float64(held) / 10_000, 1, false})
	b.notes = append(b.notes, fmt.Sprintf("With these connections the gateway takes %.0f MB.", cached.memory()))
	return nil
}

func median(loads []load, of func(load) float64) float64 {
	values := make([]float64, len(loads))
	for i, l := range loads {
		values[i] = of(l)
	}
	slices.Sort(values)
	return values[len(values)/2]
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
