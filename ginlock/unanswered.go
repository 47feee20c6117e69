package ginlock

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
)

// unansweredError tells the Guard of a chain that has not answered, or not to the end.
// What the chain has to say of it stands in c.Errors.
type unansweredError struct {
	status  int
	written bool // the header was settled, and has yet to be sent
}

func (*unansweredError) Error() string { return "ginlock: the handler did not answer" }

// HTTPStatus is the status that the chain has left.
func (e *unansweredError) HTTPStatus() int { return e.status }

// outcome is what the Guard is told of a chain that ran on inner, in front of which
// there were as many errors.
//
//	content      was written; an error has ended it too early if it aborted the chain, as c.Render does
//	errors       and no content: middleware in front of the Guard may make a response of them
//	outer        was written: c.HandleContext has answered past inner
//	nothing      was done, but gin has a text for want of a route, or the context is over
//	otherwise    the status is all there is to answer
func outcome(c *gin.Context, inner *writer, outer gin.ResponseWriter, errs int) error {
	failed := len(c.Errors) > errs
	idle := !inner.Written() && inner.status == outer.Status()
	switch {
	case inner.sent && (!failed || !c.IsAborted()):
		return nil
	case inner.sent, failed, outer.Written():
	case idle && (inner.status != http.StatusOK || inner.ctx.Err() != nil):
	default:
		inner.send()
		return nil
	}
	left := &unansweredError{status: inner.status, written: inner.Written() && !inner.sent}
	if !inner.sent && !outer.Written() {
		outer.WriteHeader(inner.status)
	}
	return left
}

// leave reports whether err is an unansweredError, and settles the header that the
// chain has.
func leave(c *gin.Context, err error) bool {
	left := (*unansweredError)(nil)
	if !errors.As(err, &left) {
		return false
	}
	if left.written {
		c.Writer.WriteHeaderNow()
	}
	return true
}
