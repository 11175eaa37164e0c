import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Scheduler } from "../src/scheduler.js";

const life = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("requestAnimationFrame", (run: () => void) => setTimeout(run, 16));
  vi.stubGlobal("cancelAnimationFrame", clearTimeout);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("paints once per frame", () => {
  const scheduler = new Scheduler(life);
  const paint = vi.fn();
  scheduler.paint(paint);
  scheduler.paint(paint);
  expect(scheduler.pending.value).toBe(1);
  vi.advanceTimersByTime(16);
  expect(paint).toHaveBeenCalledTimes(1);
  expect(scheduler.pending.value).toBe(0);
});

it("waits a frame for a page that is hidden for a moment, and no longer for one that stays so", () => {
  let room = false;
  const painted: boolean[] = [];
  const scheduler = new Scheduler(life, () => room);
  const paint = () => painted.push(room);
  scheduler.paint(paint);
  vi.advanceTimersByTime(16);
  expect(painted).toEqual([]);
  expect(scheduler.pending.value).toBe(1);
  room = true;
  vi.advanceTimersByTime(16);
  expect(painted).toEqual([true]);
  room = false;
  scheduler.paint(paint);
  vi.advanceTimersByTime(32);
  expect(painted).toEqual([true, false]);
  expect(scheduler.pending.value).toBe(0);
});
