package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var whopsimProgram string

// The test binary is the gateway itself where processes of their own are needed.
const asGateway = "GATEWAY_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asGateway) != "" {
		main()
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	whopsimProgram = filepath.Join(dir, "whopsim")
	if runtime.GOOS == "windows" {
		whopsimProgram += ".exe"
	}
	build := exec.Command("go", "build", "-o", whopsimProgram, "../whopsim")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building whopsim:", err)
		return 1
	}
	// Those that run side by side mostly wait. What the command line says wins.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if leaks := said.leaks(); len(leaks) > 0 {
		fmt.Fprintln(os.Stderr, "--- FAIL: secrets or personal data were logged or answered over the test run:")
		for _, l := range leaks {
			fmt.Fprintln(os.Stderr, "    "+l)
		}
		return 1
	}
	return code
}

// said is all that gateways logged and answered over the test run.
var said transcript

type transcript struct {
	mu      sync.Mutex
	logs    bytes.Buffer
	answers []answer
}

func (s *transcript) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.Write(b)
}

func (s *transcript) answered(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, a)
}

func (s *transcript) leaks() (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	never := []string{"PRIVATE", personalMark}
	for line := range strings.Lines(s.logs.String()) {
		for _, mark := range append(never, keyMark, machineMark) {
			if strings.Contains(line, mark) {
				found = append(found, mark+" in a log line: "+line)
			}
		}
	}
	for _, a := range s.answers {
		forbidden := never
		if a.status != http.StatusCreated {
			forbidden = append(forbidden, keyMark, machineMark)
		}
		for _, mark := range forbidden {
			if strings.Contains(a.body, mark) {
				found = append(found, fmt.Sprintf("%s in an answer: %d %s", mark, a.status, a.body))
			}
		}
	}
	return found
}
