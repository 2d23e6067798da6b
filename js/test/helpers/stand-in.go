//go:build ignore

// Stand-in runs a command in its place, as a script with #! does where there are
// such: it reads PROGRAM.json, beside itself, and notes its process id. While
// STOPS/PID is there, the command gets no input.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

type settings struct {
	Command []string `json:"command"`
	Log     string   `json:"log"`
	Stops   string   `json:"stops"`
}

func main() {
	err := run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(program + ".json")
	if err != nil {
		return err
	}
	var s settings
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if err := note(s.Log); err != nil {
		return err
	}
	cmd := exec.Command(s.Command[0], s.Command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go forward(input, filepath.Join(s.Stops, strconv.Itoa(os.Getpid())))
	return cmd.Wait()
}

func note(log string) error {
	file, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintln(file, os.Getpid())
	return err
}

// forward hands on the input, but not while the file is there.
func forward(to io.WriteCloser, stop string) {
	defer to.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := os.Stdin.Read(buffer)
		for exists(stop) {
			time.Sleep(5 * time.Millisecond)
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
