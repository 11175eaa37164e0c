import { startPage } from "../start.js";
import { readProfile } from "./data.js";
import { mountProfile } from "./page.js";
import { ProfileState } from "./state.js";

startPage((root, data) => {
  const profile = readProfile(data);
  const state = new ProfileState(profile, profile.state);
  mountProfile(root, state, new AbortController().signal, { fill: true });
});
