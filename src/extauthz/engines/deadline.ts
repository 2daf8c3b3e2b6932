/** The promise's value, or null when it takes longer than `timeout` milliseconds; what comes after that goes to `late`. */
export async function before<T>(timeout: number, promise: Promise<T>, late: (value: T) => void): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  let over = false
  const deadline = new Promise<null>((resolve) => {
    timer = setTimeout(() => {
      over = true
      resolve(null)
    }, timeout)
  })
  promise.then(
    (value) => {
      if (over) late(value)
    },
    () => {},
  )
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}
