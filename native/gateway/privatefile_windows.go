package main

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// createPrivate creates a file that only its owner, the system and
// administrators may read. The file must not exist.
//
// Go's file modes mean nothing on Windows: a file inherits its folder's access
// list unless it is created with one of its own.
func createPrivate(name string) (*os.File, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: err}
	}
	// D:P is a list that inherits nothing; FA is full access, SY the system, BA
	// the administrators.
	list, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + user.User.Sid.String() + ")")
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: err}
	}
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: err}
	}
	security := windows.SecurityAttributes{SecurityDescriptor: list}
	security.Length = uint32(unsafe.Sizeof(security))
	handle, err := windows.CreateFile(path, windows.GENERIC_WRITE, 0, &security, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: err}
	}
	return os.NewFile(uintptr(handle), name), nil
}

// ownAsFolder is for systems on which a program can be root.
func ownAsFolder(*os.File) error { return nil }
