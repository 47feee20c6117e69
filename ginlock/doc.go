// Package ginlock puts a [guard.Guard] before handlers of gin.
package ginlock
