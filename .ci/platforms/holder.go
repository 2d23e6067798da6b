//go:build ignore

// Holder keeps a file open on Windows, as a virus scanner or a backup does:
// holder FILE SHARE. SHARE is the share mode: 7 lets others read, write and
// replace the file, 3 doesn't let them replace it, 1 lets them read only. It says
// "held", and ends with its input.
//
// holder processes names each process that runs.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

func main() {
	if os.Args[1] == "processes" {
		processes()
		return
	}
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

func processes() {
	snapshot, err := syscall.CreateToolhelp32Snapshot(syscall.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		panic(err)
	}
	entry := syscall.ProcessEntry32{}
	entry.Size = uint32(unsafe.Sizeof(entry))
	for err = syscall.Process32First(snapshot, &entry); err == nil; err = syscall.Process32Next(snapshot, &entry) {
		fmt.Println(syscall.UTF16ToString(entry.ExeFile[:]))
	}
}
