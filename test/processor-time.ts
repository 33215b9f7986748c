// How long something took, told so that other users of the machine do not count.

/** Milliseconds of processor time that this process has had since `before`. */
export function processorTime(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
