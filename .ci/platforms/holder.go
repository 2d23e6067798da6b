//go:build ignore

// Holder keeps a file open on Windows, as a virus scanner or a backup does:
// holder FILE SHARE. SHARE is the share mode: 7 lets others read, write and
// replace the file, 3 doesn't let them replace it. It says "held", and ends
// with its input.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
)

func main() {
	name, err := syscall.UTF16PtrFromString(os.Args[1])
	if err != nil {
		panic(err)
	}
	share, err := strconv.ParseUint(os.Args[2], 10, 32)
	if err != nil {
		panic(err)
	}
	_, err = syscall.CreateFile(name, syscall.GENERIC_READ, uint32(share), nil,
		syscall.OPEN_EXISTING, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
