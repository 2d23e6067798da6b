//go:build unix

package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
)

func TestRaceForFirstUseOnThreeGateways(t *testing.T) {
	for _, latency := range []string{"0s", "100ms"} {
		t.Run(latency, func(t *testing.T) {
			key := testKey("cluster")
			r := gatewaytest.StartRedis(t)
			sim := startSim(t, []fields{licensed(key)}, "--latency", latency)
			var gateways []*gw
			for range 3 {
				g, _ := startGatewayProcess(t, sim, "--redis-url", r.URL(), "--upstream-timeout", "10s")
				gateways = append(gateways, g)
			}
			assert.NotEmpty(t, assertOneWinner(t, sim, key, race(t, key, gateways...)))
			assert.Equal(t, 1, sim.calls("v1.patch"))
			for _, k := range r.Client().Keys(t.Context(), "*").Val() {
				assert.NotContains(t, k, keyMark, "no license key is stored")
			}
		})
	}
}

func TestRaceOnThreeGatewaysWithARandomlyFailingUpstream(t *testing.T) {
	t.Parallel()
	key := testKey("flakies")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key, fields{"fault": "random-500", "fault_probability": 0.3})})
	var gateways []*gw
	for range 3 {
		gateways = append(gateways, startGateway(t, sim, "--redis-url", r.URL(), "--license-limit", "0"))
	}
	winner := assertOneWinner(t, sim, key, race(t, key, gateways...), 503)
	for n := range 50 {
		var a answer
		eventually(t, "an answer", func() bool {
			a = gateways[n%3].validate(key, machine(n))
			return a.status != 503
		})
		if a.status == 201 && winner == "" {
			winner = machine(n)
		}
		assert.Equal(t, machine(n) == winner, a.status == 201, a.body)
	}
}

// A gateway dies while it holds the lock. The lock expires by itself, nobody
// else is let in meanwhile, and the license is usable within lockTime.
func TestGatewayKilledWhileItBinds(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"v1.get", "v1.patch"} {
		t.Run(during, func(t *testing.T) {
			t.Parallel()
			key := testKey("killed")
			r := gatewaytest.StartRedis(t)
			sim := startSim(t, []fields{licensed(key)}, "--latency", "700ms")
			const timeout = 2 * time.Second
			victim, process := startGatewayProcess(t, sim, "--redis-url", r.URL(), "--upstream-timeout", timeout.String())
			others := []*gw{
				startGateway(t, sim, "--redis-url", r.URL(), "--upstream-timeout", timeout.String(), "--license-limit", "0", "--client-limit", "0"),
				startGateway(t, sim, "--redis-url", r.URL(), "--upstream-timeout", timeout.String(), "--license-limit", "0", "--client-limit", "0"),
			}
			go func() { _, _ = victim.tryValidate(key, machine(0)) }()
			locks := r.Client()
			eventually(t, "the lock is taken and the call under way", func() bool {
				return len(locks.Keys(t.Context(), "*:lock:*").Val()) == 1 && sim.inFlight(during) == 1
			})
			require.NoError(t, process.Signal(syscall.SIGKILL))
			died := time.Now()

			limit := check.LockTime(timeout)
			var mu sync.Mutex
			answers := map[string][]answer{}
			var wg sync.WaitGroup
			for n := range 50 {
				wg.Go(func() {
					for {
						a, err := others[n%2].tryValidate(key, machine(n))
						if err != nil {
							a = answer{status: -1, body: err.Error()}
						}
						mu.Lock()
						answers[machine(n)] = append(answers[machine(n)], a)
						mu.Unlock()
						if a.status != 503 {
							return
						}
						// A client that was told to wait must get an answer once the lock has expired.
						if time.Since(died) > limit+30*time.Second {
							t.Error("locked out for too long")
							return
						}
					}
				})
			}
			wg.Wait()
			if assertOneWinner(t, sim, key, answers, 503) == "" {
				assert.Equal(t, map[string]any{"HWID": machine(0)}, sim.membership(key).Metadata, "nobody got in, although the dead gateway bound nobody")
			}
		})
	}
}

// Redis stops and restarts while customers start their apps. Machines that are
// bound are served throughout. First uses are answered 503 while Redis is down
// and, because its locks are lost, until none of them could still be in use.
// Only the first machine is ever let in.
func TestRedisStoppedAndStartedUnderLoad(t *testing.T) {
	t.Parallel()
	const phases, licenses = 3, 40 // in each phase, that many licenses are new
	name := func(phase, n int) string { return testKey(fmt.Sprintf("p%dn%d", phase, n)) }
	bound := testKey("bound")
	all := []fields{licensed(bound, fields{"metadata": fields{"HWID": machine(0)}})}
	for phase := range phases {
		for n := range licenses {
			all = append(all, licensed(name(phase, n)))
		}
	}
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, all, "--latency", "5ms")
	args := []string{"--redis-url", r.URL(), "--license-limit", "0", "--client-limit", "0", "--upstream-budget", "0", "--cache-ttl", "50ms", "--upstream-timeout", "1s"}
	gateways := []*gw{startGateway(t, sim, args...), startGateway(t, sim, args...), startGateway(t, sim, args...)}

	var phase, served, refused, waiting atomic.Int64
	var winners sync.Map
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for worker := range 12 {
		wg.Go(func() {
			next := time.Tick(25 * time.Millisecond)
			for i := worker; ; i++ {
				select {
				case <-stop:
					return
				case <-next:
				}
				key, hwid := name(int(phase.Load()), i/2%licenses), machine(worker%4)
				if i%2 == 0 {
					key = bound
				}
				a, err := gateways[i%3].tryValidate(key, hwid)
				if !assert.NoError(t, err) {
					return
				}
				switch {
				case key == bound && hwid == machine(0):
					assert.Equal(t, 201, a.status, a.body)
					served.Add(1)
				case key == bound:
					assert.Equal(t, 400, a.status, a.body)
					refused.Add(1)
				case a.status == 201:
					first, _ := winners.LoadOrStore(key, hwid)
					assert.Equal(t, first, hwid, "two machines were let in")
				case a.status == 503:
					waiting.Add(1)
				default:
					assert.Equal(t, "metadata_mismatch", a.code(), a.body)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
	more := func(c *atomic.Int64) func() bool {
		before := c.Load()
		return func() bool { return t.Failed() || c.Load() > before+50 }
	}
	someBound := func() bool {
		bound := 0
		winners.Range(func(key, _ any) bool {
			if strings.Contains(key.(string), fmt.Sprintf("p%dn", phase.Load())) {
				bound++
			}
			return true
		})
		return t.Failed() || bound > licenses/4
	}
	for range phases - 1 {
		eventually(t, "first uses are served", someBound)
		r.Kill() // with first uses under way
		phase.Add(1)
		eventually(t, "bound machines are served without Redis", more(&served))
		eventually(t, "others are refused without Redis", more(&refused))
		eventually(t, "first uses have to wait", more(&waiting))
		r.Start()
	}
	eventually(t, "first uses are served again", someBound)
	close(stop)
	wg.Wait()
	winners.Range(func(key, hwid any) bool {
		return assert.Equal(t, map[string]any{"HWID": hwid}, sim.membership(key.(string)).Metadata)
	})
	waited := false
	for _, g := range gateways {
		waited = waited || g.logged("redis_restarted")
	}
	assert.True(t, waited, "no gateway noticed that the locks were lost")
}

func TestRedisDownAtTheStart(t *testing.T) {
	t.Parallel()
	bound, unbound := testKey("bound"), testKey("unbound")
	r := gatewaytest.StartRedis(t)
	r.Kill()
	sim := startSim(t, []fields{licensed(bound, fields{"metadata": fields{"HWID": machine(1)}}), licensed(unbound)})
	g := startGateway(t, sim, "--redis-url", r.URL(), "--upstream-timeout", "500ms", "--license-limit", "0", "--client-limit", "0")
	assert.Equal(t, 503, g.get("/readyz").status)
	assert.Equal(t, 200, g.get("/healthz").status)
	assert.Equal(t, 201, g.validate(bound, machine(1)).status)
	assert.Equal(t, 400, g.validate(bound, machine(2)).status)
	assertRefused(t, g.validate(unbound, machine(1)), 503, "unavailable")
	assert.Zero(t, sim.calls("v1.patch"))
	r.Start()
	eventually(t, "the gateway is ready", func() bool { return g.get("/readyz").status == 200 })
	eventually(t, "first uses are served", func() bool { return g.validate(unbound, machine(1)).status == 201 })
}

// What one gateway learns reaches all others: a webhook, and which machine a
// license was bound to.
func TestNewsReachesEveryGateway(t *testing.T) {
	key := testKey("news")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key)})
	var gateways []*gw
	for range 3 {
		gateways = append(gateways, startGateway(t, sim, "--redis-url", r.URL()))
	}
	for _, g := range gateways {
		require.Equal(t, 201, g.validate(key, machine(1)).status)
	}
	// A webhook to one.
	sim.control("POST", "/sim/cancel/"+key, nil)
	body := `{"type":"membership.deactivated","data":{"id":"` + sim.membership(key).ID + `"}}`
	require.Equal(t, 204, gateways[1].post("/webhooks/whop", body, signedHeaders(t, []byte(testSecret), "msg_1", time.Now(), body)...).status)
	for _, g := range gateways {
		eventually(t, "the webhook is known", func() bool { return g.validate(key, machine(1)).status == 403 })
	}
	// A reset, then a new machine on one.
	sim.set(key, fields{"status": "active"})
	require.Equal(t, 204, gateways[1].post("/webhooks/whop", body, signedHeaders(t, []byte(testSecret), "msg_2", time.Now(), body)...).status)
	for _, g := range gateways {
		eventually(t, "the license is good again", func() bool { return g.validate(key, machine(1)).status == 201 })
	}
	sim.reset(key)
	require.Equal(t, 201, gateways[0].validate(key, machine(2)).status)
	for _, g := range gateways {
		eventually(t, "the old machine is out everywhere", func() bool { return g.validate(key, machine(1)).status == 400 })
	}
}

// The machine that was refused by one gateway asks another after Reset Key.
func TestResetIsSeenAtOnceByEveryGateway(t *testing.T) {
	key := testKey("resets")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key)})
	a, b := startGateway(t, sim, "--redis-url", r.URL()), startGateway(t, sim, "--redis-url", r.URL())
	require.Equal(t, 201, a.validate(key, machine(1)).status)
	require.Equal(t, 400, b.validate(key, machine(3)).status, "so that the other gateway has the mismatch in its cache")
	require.Equal(t, 400, a.validate(key, machine(2)).status)
	sim.reset(key)
	assert.Equal(t, 201, b.validate(key, machine(2)).status)
}

func TestGatewaysShareTheQuota(t *testing.T) {
	r := gatewaytest.StartRedis(t)
	var licenses []fields
	for n := range 15 {
		licenses = append(licenses, boundTo(testKey(fmt.Sprint("k", n)), 1))
	}
	sim := startSim(t, licenses)
	args := []string{"--redis-url", r.URL(), "--upstream-budget", "30", "--client-limit", "0"}
	a, b := startGateway(t, sim, args...), startGateway(t, sim, args...)
	served := 0
	for n := range 15 {
		for _, g := range []*gw{a, b} {
			if g.validate(testKey(fmt.Sprint("k", n)), machine(1)).status == 201 {
				served++
			}
		}
	}
	served += 2 // each gateway made a look-up when it started
	assert.GreaterOrEqual(t, served, whop.NewBucket(30).Burst)
	assert.Less(t, served, 2*whop.NewBucket(30).Burst, "twice one gateway's share")
	assert.Equal(t, served-2, sim.calls("v1.get"))
}

// News that was missed while Redis was down could be about anything.
func TestCachesAreEmptiedWhenRedisComesBack(t *testing.T) {
	t.Parallel()
	key := testKey("missed")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key)})
	a, b := startGateway(t, sim, "--redis-url", r.URL()), startGateway(t, sim, "--redis-url", r.URL())
	require.Equal(t, 201, a.validate(key, machine(1)).status)
	require.Equal(t, 201, b.validate(key, machine(1)).status)
	sim.control("POST", "/sim/cancel/"+key, nil)
	r.Kill()
	body := `{"type":"membership.deactivated","data":{"id":"` + sim.membership(key).ID + `"}}`
	headers := signedHeaders(t, []byte(testSecret), "msg_1", time.Now(), body)
	assertRefused(t, a.post("/webhooks/whop", body, headers...), 503, "unavailable")
	assert.Equal(t, 403, a.validate(key, machine(1)).status)
	assert.Equal(t, 201, b.validate(key, machine(1)).status, "from its cache: it can't know yet")
	r.Start()
	eventually(t, "the cache is emptied", func() bool { return b.validate(key, machine(1)).status == 403 })
	eventually(t, "the webhook is taken when it is sent again", func() bool { return a.post("/webhooks/whop", body, headers...).status == 204 })
}

// A Redis that does not answer must not make anything hang.
func TestRedisThatHangs(t *testing.T) {
	t.Parallel()
	bound, unbound := testKey("bound"), testKey("unbound")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(bound, fields{"metadata": fields{"HWID": machine(1)}}), licensed(unbound)})
	g := startGateway(t, sim, "--redis-url", r.URL(), "--cache-ttl", "0")
	require.Equal(t, 201, g.validate(bound, machine(1)).status)
	require.NoError(t, r.Process().Signal(syscall.SIGSTOP))
	defer func() { _ = r.Process().Signal(syscall.SIGCONT) }()
	assert.Equal(t, 201, g.validate(bound, machine(1)).status)
	assertRefused(t, g.validate(unbound, machine(1)), 503, "unavailable")
	assert.Zero(t, sim.calls("v1.patch"))
}

// If Redis accepts no writes, nobody can be marked as refused, so no mismatch
// may be repeated.
func TestResetIsSeenWhereRedisTakesNoWrites(t *testing.T) {
	key := testKey("readonly")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})})
	g := startGateway(t, sim, "--redis-url", r.URL())
	require.NoError(t, r.Client().ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
	require.Equal(t, 400, g.validate(key, machine(2)).status)
	require.Equal(t, 400, g.validate(key, machine(3)).status)
	sim.set(key, fields{"metadata": fields{"HWID": machine(2)}})
	assert.Equal(t, 201, g.validate(key, machine(2)).status)
}

// The same holds if it rejects writes only for some machines.
func TestMismatchIsRepeatedOnlyWhereItCanBeMarked(t *testing.T) {
	key := testKey("flapping")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})})
	g := startGateway(t, sim, "--redis-url", r.URL())
	writes := func(replicas string) {
		require.NoError(t, r.Client().ConfigSet(t.Context(), "min-replicas-to-write", replicas).Err())
	}
	writes("1")
	require.Equal(t, 400, g.validate(key, machine(2)).status)
	writes("0")
	require.Equal(t, 400, g.validate(key, machine(3)).status)
	assert.Equal(t, 2, sim.calls("v1.get"), "what could not be marked is not repeated")
	writes("1")
	require.Equal(t, 400, g.validate(key, machine(4)).status)
	sim.set(key, fields{"metadata": fields{"HWID": machine(4)}})
	assert.Equal(t, 201, g.validate(key, machine(4)).status)
}
