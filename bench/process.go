//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running command in a process of its own.
type process struct {
	name   string
	pid    int
	log    string // a file
	stdin  io.Closer
	exited chan struct{}
}

// guardScript runs a command, says its process id, and kills it when the
// standard input ends: so nothing outlives the benchmark, however that ends. The
// signal goes to the process group, whose number nobody else gets while the
// shell that kills is in it.
const guardScript = `exec 3<&0
"$@" </dev/null 3<&- 4>&- &
command=$!
echo $command >&4
exec 4>&-
(cat <&3 >/dev/null; kill -KILL 0) >/dev/null 2>&1 &
exec 3<&-
wait $command`

func startProcess(name, folder string, env []string, command ...string) (*process, error) {
	log, err := os.CreateTemp(folder, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own copy
	pidReader, pidWriter, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer pidReader.Close()
	guard := exec.Command("/bin/sh", append([]string{"-c", guardScript, "guard"}, command...)...) //nolint:noctx // it is stopped in order, not with the context
	guard.Dir, guard.Env = folder, env
	guard.Stdout, guard.Stderr = log, log
	guard.ExtraFiles = []*os.File{nil, pidWriter}           // the script's 4
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for us to pass on
	stdin, err := guard.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, pidWriter.Close())
	}
	if err := errors.Join(guard.Start(), pidWriter.Close()); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, log: log.Name(), stdin: stdin, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = guard.Wait() // how it ended is in its log
	}()
	if _, err := fmt.Fscan(pidReader, &p.pid); err != nil {
		p.kill()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// stop asks the process to end, and kills it when it does not.
func (p *process) stop() {
	select {
	case <-p.exited: // its number may be somebody else's by now
	default:
		_ = syscall.Kill(p.pid, syscall.SIGTERM) // it may have ended just now
	}
	select {
	case <-p.exited:
	case <-time.After(15 * time.Second):
	}
	p.kill()
}

// kill ends the process as a crash would.
func (p *process) kill() {
	_ = p.stdin.Close() // the guard kills
	<-p.exited
}

// untilReady waits for the answer 200 at a URL, or for the end of the process.
func (p *process) untilReady(ctx context.Context, url string) error {
	return p.until(ctx, "is not ready", func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		body, err := get(ctx, url)
		return err == nil && body != nil
	})
}

func (p *process) untilLogged(ctx context.Context, text string) error {
	return p.until(ctx, fmt.Sprintf("has not logged %q", text), func() bool {
		log, err := os.ReadFile(p.log)
		return err == nil && bytes.Contains(log, []byte(text))
	})
}

func (p *process) until(ctx context.Context, not string, ok func() bool) error {
	const patience = 90 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !ok() {
		select {
		case <-p.exited:
			return fmt.Errorf("%s has ended: %s", p.name, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w: %s", p.name, not, ctx.Err(), p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// tail is the end of the log.
func (p *process) tail() []byte {
	const size = 2000
	raw, _ := os.ReadFile(p.log) // without it the error still says what failed
	return raw[max(0, len(raw)-size):]
}

// get returns the body of an answer 200.
func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// loopbackAddress is one that is free now.
func loopbackAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// usage is what a process has taken of the machine.
type usage struct {
	memory float64       // MiB of RAM
	cpu    time.Duration // since its start
}

// usageOf adds up processes. Those that have ended, and machines without /proc,
// count as nothing.
func usageOf(pids ...int) usage {
	var sum usage
	for _, pid := range pids {
		folder := filepath.Join("/proc", strconv.Itoa(pid))
		sum.memory += memoryOf(folder, len(pids) > 1)
		sum.cpu += cpuOf(folder)
	}
	return sum
}

// memoryOf is the resident set or, where several processes are added up, the
// proportional one, which divides what they share among them.
func memoryOf(folder string, shared bool) float64 {
	if shared {
		if kB, ok := procField(filepath.Join(folder, "smaps_rollup"), "Pss:"); ok { // not always ours to read
			return kB / 1024
		}
	}
	kB, _ := procField(filepath.Join(folder, "status"), "VmRSS:")
	return kB / 1024
}

func procField(file, field string) (float64, bool) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(raw)) {
		rest, ok := strings.CutPrefix(line, field)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
		return n, err == nil
	}
	return 0, false
}

// clockTick is Linux's USER_HZ, which is 100 on every architecture Go runs on.
const clockTick = 10 * time.Millisecond

func cpuOf(folder string) time.Duration {
	raw, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return 0
	}
	// The name of the program, in parentheses, may hold anything; after it come
	// the state and, as 12th and 13th, the user's and the system's time.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}
