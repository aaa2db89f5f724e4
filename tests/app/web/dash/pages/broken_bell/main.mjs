throw new Error("this bell is broken");
