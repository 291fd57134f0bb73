/** Python programs that stop a thread of another process, as a debugger does: `python3 -c PROGRAM tid ...`. */

/** The words a program begins with: `seize(tid)` has stopped the thread when it returns. */
export const PTRACE = `
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
def ask(word, request, tid, address=None, data=None):
    if libc.ptrace(request, tid, address, data) != 0: sys.exit(word + ": " + os.strerror(ctypes.get_errno()))
def seize(tid):
    ask("seize", SEIZE, tid)
    ask("interrupt", INTERRUPT, tid)
    os.waitpid(tid, WALL)
`;

/** Stop one thread, for so many seconds or until its process ends. */
export const STOP = `${PTRACE}
tid = int(sys.argv[1])
seize(tid)
print("stopped", flush=True)
if len(sys.argv) > 2: time.sleep(float(sys.argv[2]))
else: os.waitpid(tid, WALL)
`;
