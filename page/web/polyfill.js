// What u8-mqtt, and esbuild's helpers for newer syntax, use and browsers of 2016 lack.
if (!Object.entries) Object.entries = o => Object.keys(o).map(k => [k, o[k]]);
if (!Object.getOwnPropertyDescriptors) {
  Object.getOwnPropertyDescriptors = o => {
    const all = {};
    Object.getOwnPropertyNames(o).forEach(k => { all[k] = Object.getOwnPropertyDescriptor(o, k); });
    return all;
  };
}
