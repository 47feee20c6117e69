//go:build unix

package wire

import (
	"syscall"
	"time"
)

// lookAt reads what is there, or comes soon.
func (r *eagerReader) lookAt(fd uintptr) bool {
	for end := time.Now().Add(lookFor); ; {
		n, err := syscall.Read(int(fd), r.into)
		if err != syscall.EAGAIN && err != syscall.EINTR { //nolint:errorlint // as the kernel says it
			r.seen = max(n, 0)
			return true
		}
		if !time.Now().Before(end) {
			r.inVain()
			return true
		}
	}
}

// readable reports whether there is something to read.
func readable(fd uintptr) bool {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK) // which Go's sockets do not wait for
	return err == nil && n > 0
}
