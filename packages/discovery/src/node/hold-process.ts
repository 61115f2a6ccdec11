/** Keeps the process running until the returned function is called: sockets do, but there may be no interface to open one on. */
export function holdProcess (): () => void {
  const timer = setInterval(() => { /* its existence is what matters */ }, 0x7fff_ffff)
  return () => { clearInterval(timer) }
}
